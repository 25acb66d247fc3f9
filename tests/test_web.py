"""The web page: drawings, uploads, the API, what is refused, and the page itself in a real browser."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from digitscan import Reader
from digitscan.authoring.stress import drawn_hands
from digitscan.core.types import Box, PageResult
from digitscan.export.records import page_record
from digitscan.jobs.journal import Journal
from digitscan.web.app import create_app
from digitscan.web.drawings import numbers_in, read_drawing
from digitscan.web.settings import WebSettings, new_token
from digitscan.web.work import Uploads
from tests.conftest import free_port, served

SAMPLES = Path(__file__).parent.parent / "samples"


def _sheet(*numbers: tuple[str, int, int, int], size: tuple[int, int] = (480, 960), seed: int = 3) -> np.ndarray:
    """A drawing of numbers, each a text, left, top and height, in a drawn hand."""
    rng = np.random.default_rng(seed)
    pen = drawn_hands()(rng)
    sheet = np.full(size, 255, np.float32)
    for text, x, y, height in numbers:
        for character in text:
            ink = pen(int(character), height, rng)
            part = sheet[y : y + ink.shape[0], x : x + ink.shape[1]]
            part *= 1 - ink[: part.shape[0], : part.shape[1]]
            x += ink.shape[1] + round(0.2 * height)
    return sheet.astype(np.uint8)


def _png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(
        create_app(WebSettings(max_bytes=3_000_000, max_pages=2)), base_url="http://localhost:8000"
    ) as client:
        yield client


# ----------------------------------------------------------------------------------------------- drawings


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def test_numbers_are_parted_by_rows_and_wide_spaces() -> None:
    sheet = np.full((400, 900), 255, np.uint8)
    for x, y in ((50, 40), (110, 45), (420, 50), (60, 250)):
        cv2.rectangle(sheet, (x, y), (x + 30, y + 70), 0, 8)
    boxes = numbers_in(sheet)
    assert [b.x < 60 for b in boxes] == [True, False, False] or len(boxes) == 3
    assert [abs(b.x - x) < 8 for b, x in zip(boxes, (50, 420, 60), strict=True)] == [True] * 3
    assert numbers_in(np.full((50, 50), 255, np.uint8)) == []
    assert numbers_in(np.full((50, 50), 0, np.uint8)) == []


@pytest.mark.parametrize("height", [28, 70, 200])
@pytest.mark.parametrize("place", [(20, 20), (420, 230)])
def test_a_number_is_read_wherever_and_however_large(reader: Reader, height: int, place: tuple[int, int]) -> None:
    sheet = _sheet(("408", *place, height), size=(480, 1100))
    (number,) = read_drawing(reader, sheet)
    assert number.reading.text == "408"
    assert number.crops.shape == (3, 28, 28) and number.posteriors.shape == (3, 11)
    assert [int(row.argmax()) for row in number.posteriors] == [4, 0, 8]
    ys, xs = np.nonzero(sheet < 128)
    box = number.reading.box
    assert abs(box.x - xs.min()) <= 6 and abs(box.right - xs.max()) <= 7 and abs(box.y - ys.min()) <= 6
    assert all(isinstance(d.box, Box) and d.box.x >= box.x - 8 for d in number.reading.digits)


def test_chalk_on_a_board_and_several_rows(reader: Reader) -> None:
    sheet = _sheet(("2026", 40, 30, 90), ("17", 60, 280, 120), ("5", 640, 60, 80))
    texts = [n.reading.text for n in read_drawing(reader, sheet)]
    assert texts == ["2026", "5", "17"]
    assert [n.reading.text for n in read_drawing(reader, 255 - sheet)] == texts


# ---------------------------------------------------------------------------------------------------- API


def test_a_drawing_is_answered_with_everything_the_page_shows(client: TestClient) -> None:
    answer = client.post("/api/draw", params={"models": ["mlp-128"]}, content=_png(_sheet(("2067", 60, 100, 120))))
    assert answer.status_code == 200
    (number,) = answer.json()["numbers"]
    assert number["text"] == "2067" and 0 <= number["confidence"] <= 1
    digit = number["digits"][0]
    assert digit["digit"] == "2" and len(digit["bars"]) == 11 and sum(digit["bars"]) == pytest.approx(1, abs=1e-3)
    assert len(base64.b64decode(digit["crop"])) == 784 and "mlp-128" in digit["models"]
    assert client.post("/api/draw", content=_png(np.full((90, 90), 255, np.uint8))).json()["numbers"] == []


def test_predict_agrees_with_the_library_and_tells_each_picture_apart(client: TestClient, reader: Reader) -> None:
    eight = (SAMPLES / "digit" / "eight.png").read_bytes()
    files = [("files", ("a.png", eight)), ("files", ("b.png", b"no picture")), ("files", ("c.png", eight))]
    answer = client.post("/api/predict", files=files).json()
    first, broken, last = answer["predictions"]
    (single,) = reader.posteriors_of(SAMPLES / "digit" / "eight.png")
    assert single.posteriors is not None
    assert first["digit"] == "8" and first["bars"] == pytest.approx(single.posteriors.tolist(), abs=1e-4)
    assert first["bars"] == pytest.approx(last["bars"], abs=1e-5)
    assert broken["digit"] == "" and "not an image" in broken["error"]


def test_an_upload_reads_as_the_library_does_and_shows_its_picture(client: TestClient, reader: Reader) -> None:
    cheque = SAMPLES / "cheque.jpg"
    answer = client.post("/api/process", files={"file": ("../../etc/cheque.jpg", cheque.read_bytes())}).json()
    (page,) = answer["pages"]
    (outcome,) = reader.read(cheque)
    expected = page_record(outcome)["readings"]
    assert [r["text"] for r in page["result"]["readings"]] == [r["text"] for r in expected]
    assert [r["box"] for r in page["result"]["readings"]] == [r["box"] for r in expected]
    assert page["result"]["file"] == "cheque.jpg" and not answer["cut_off"]
    picture = client.get(page["picture"])
    assert picture.status_code == 200 and picture.headers["content-type"] == "image/jpeg"


def test_only_so_many_pages_of_an_upload_are_read(client: TestClient) -> None:
    pdf = (SAMPLES / "register.pdf").read_bytes()
    answer = client.post("/api/process", files={"file": ("register.pdf", pdf)}).json()
    assert len(answer["pages"]) == 2 and answer["cut_off"]


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("/api/draw", {"content": b""}, 422),
        ("/api/draw", {"content": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}, 422),
        ("/api/draw", {"content": b"PK\x03\x04" + bytes(400)}, 422),
        ("/api/draw?models=../../etc/passwd", {"content": b"x"}, None),
        ("/api/draw", {"content": bytes(3_100_000)}, 413),
        ("/api/process", {"files": {"file": ("x.pdf", b"%PDF-1.7 broken")}}, 200),
        ("/api/process", {"files": {"other": ("x.pdf", b"1")}}, 422),
        ("/api/predict", {"files": [("files", ("x", b""))] * 300}, 422),
        ("/api/none", {"content": b""}, 404),
    ],
)
def test_hostile_requests_get_a_typed_error_and_no_500(
    client: TestClient, path: str, sent: dict[str, object], status: int | None
) -> None:
    answer = client.post(path, **sent)  # type: ignore[arg-type]
    assert answer.status_code == status if status else 400 <= answer.status_code < 500
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        told = answer.json()
        assert told["status"] == answer.status_code and told["title"]
    else:
        assert answer.json()["pages"][0]["result"]["status"] == "failed"


def test_a_decompression_bomb_is_refused(client: TestClient) -> None:
    bomb = _png(np.zeros((9_000, 9_000), np.uint8))
    assert len(bomb) < 3_000_000
    answer = client.post("/api/draw", content=bomb)
    assert answer.status_code == 422 and "over the limit" in answer.json()["title"]


def test_every_answer_carries_the_rules_for_browsers(client: TestClient) -> None:
    for path in ("/", "/static/app.js", "/healthz", "/api/models", "/nothing"):
        headers = client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    page = client.get("/").text
    assert "style=" not in page and "onclick" not in page and "http://" not in page and "https://" not in page


def test_requests_from_elsewhere_are_refused(client: TestClient) -> None:
    drawing = _png(_sheet(("1", 40, 40, 60)))
    assert client.post("/api/draw", content=drawing, headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.post("/api/draw", content=drawing, headers={"Origin": "null"}).status_code == 403
    assert client.post("/api/draw", content=drawing, headers={"Origin": "http://localhost:8000"}).status_code == 200
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 421


def test_beyond_this_machine_a_token_is_wanted() -> None:
    token = new_token()
    with TestClient(create_app(WebSettings(host="0.0.0.0", token=token))) as client:
        assert client.get("/api/models").status_code == 401
        assert client.get("/api/models", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/api/models", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert client.get("/healthz").status_code == 200
        opened = client.get("/", params={"token": token})  # follows to the bare address, with a cookie
        assert opened.status_code == 200 and "token" not in str(opened.url)
        assert client.get("/api/models").status_code == 200


def test_uploads_are_forgotten() -> None:
    uploads = Uploads(WebSettings(keep=2))
    names = []
    for _ in range(3):
        name, folder = uploads.new()
        assert uploads.add(name, b"x") == 1
        names.append((name, folder))
    assert uploads.picture(names[0][0], 1) is None and not names[0][1].exists()
    assert uploads.picture(names[2][0], 1) is not None and uploads.picture(names[2][0], 2) is None
    assert uploads.picture("../..", 1) is None
    uploads.close()
    assert not names[2][1].exists()
    brief = Uploads(WebSettings(keep_s=0.0))
    name, folder = brief.new()
    assert brief.picture(name, 1) is None and not folder.exists()
    brief.close()


def test_digits_of_many_requests_are_classified_together(client: TestClient) -> None:
    batcher = client.app.state.work.batcher  # type: ignore[attr-defined]
    calls, crops = batcher.calls, batcher.crops
    eight = (SAMPLES / "digit" / "eight.png").read_bytes()
    answer = client.post("/api/predict", files=[("files", (f"{k}.png", eight)) for k in range(40)])
    assert answer.status_code == 200 and {p["digit"] for p in answer.json()["predictions"]} == {"8"}
    assert batcher.crops - crops == 40 and batcher.calls - calls < 20


def test_behind_a_proxy_it_answers_to_the_name_it_was_given() -> None:
    settings = WebSettings(names=("digits.example.org",))
    with TestClient(create_app(settings), base_url="https://digits.example.org") as client:
        assert client.get("/healthz").status_code == 200
        own, other = ({"Origin": f"https://{name}"} for name in ("digits.example.org", "evil.example.org"))
        assert client.post("/api/draw", content=_png(np.full((60, 60), 255, np.uint8)), headers=own).status_code == 200
        assert client.post("/api/draw", content=b"x", headers=other).status_code == 403
        assert client.get("/healthz", headers={"Host": "evil.example.org"}).status_code == 421


def test_a_page_that_takes_too_long_is_given_up() -> None:
    with TestClient(create_app(WebSettings(page_timeout_s=0.001)), base_url="http://localhost:8000") as client:
        sample = (SAMPLES / "cheque.jpg").read_bytes()
        answer = client.post("/api/process", files={"file": ("cheque.jpg", sample)})
        (page,) = answer.json()["pages"]
        assert page["result"]["status"] == "failed" and "took more than" in page["result"]["error"]["message"]
        assert client.get("/healthz").status_code == 200


def test_examples_of_the_api_are_true_to_their_schemas(client: TestClient) -> None:
    from digitscan.web import form_routes, job_routes, review, schemas

    shown = [
        schema for module in (form_routes, job_routes, review, schemas) for schema in vars(module).values()
        if isinstance(schema, type) and issubclass(schema, BaseModel) and (schema.model_config.get("json_schema_extra"))
    ]  # fmt: skip
    assert len(shown) >= 6
    for schema in shown:
        for example in schema.model_config["json_schema_extra"]["examples"]:  # type: ignore[index,call-overload,union-attr]
            schema.model_validate(example)
    assert '"examples"' in client.get("/openapi.json").text


# ------------------------------------------------------------------------------------------ a real browser

STROKES = {
    "2": [[(0, 0.25), (0.15, 0), (0.6, 0), (0.8, 0.25), (0.5, 0.6), (0, 1), (0.9, 1)]],
    "0": [[(0.4, 0), (0.05, 0.25), (0.05, 0.75), (0.4, 1), (0.75, 0.75), (0.75, 0.25), (0.42, 0.02)]],
    "6": [[(0.7, 0), (0.2, 0.4), (0.05, 0.75), (0.3, 1), (0.7, 0.85), (0.65, 0.6), (0.3, 0.55), (0.08, 0.75)]],
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the samples' cheque as its open job."""
    job = tmp_path_factory.mktemp("job") / "cheque.job"
    source = str(SAMPLES / "cheque.jpg")
    given = Reader()
    with Journal(job, given.run_info) as journal:
        for page in given.stream(source):
            assert isinstance(page.outcome, PageResult)
            doubtful = tuple(replace(r, review=True, reason="unsure") for r in page.outcome.readings)
            journal.add(replace(page.outcome, readings=doubtful))
    with served(WebSettings(port=free_port(), job=job)) as address:
        yield f"{address}/"


def test_one_draws_2026_and_reads_it_and_uploads_a_cheque(browser, address: str) -> None:  # type: ignore[no-untyped-def]

    page = browser.new_page(viewport={"width": 1200, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    x = box["x"] + 50.0
    for character in "2026":
        for stroke in STROKES[character]:
            points = [(x + 55 * u, box["y"] + 90 + 110 * v) for u, v in stroke]
            page.mouse.move(*points[0])
            page.mouse.down()
            for point in points[1:]:
                page.mouse.move(*point, steps=5)
            page.mouse.up()
        x += 90
    page.locator(".reading", has_text="2026").wait_for(timeout=30_000)
    assert page.locator(".digit").count() == 4
    page.keyboard.press("Control+z")
    page.locator(".reading", has_text="202").wait_for(timeout=30_000)
    page.click("#clear")
    page.get_by_text("Nothing drawn yet.").wait_for(timeout=10_000)
    page.set_input_files("#file", str(SAMPLES / "cheque.jpg"))
    page.get_by_role("cell", name="28450").wait_for(timeout=60_000)
    page.set_input_files("#file", str(SAMPLES / "truth.csv"))
    page.get_by_text("not an image").wait_for(timeout=30_000)
    assert page.locator(".page img").count() == 0
    assert complaints == []


def test_axe_finds_no_serious_fault(browser, address: str) -> None:  # type: ignore[no-untyped-def]
    from axe_playwright_python.sync_playwright import Axe

    # axe is put into the page by the test, past the page's own policy.
    context = browser.new_context(bypass_csp=True)
    for scheme in ("light", "dark"):
        for path in ("", "review", "review/digits?digit=2", "jobs", "forms"):
            page = context.new_page()
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(address + path)
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(500)
            found = Axe().run(page).response["violations"]
            serious = [
                f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found if v["impact"] in ("serious", "critical")
            ]
            assert serious == [], f"{path} in {scheme}: {serious}"
            page.close()


def test_every_sample_can_be_uploaded(browser, address: str) -> None:  # type: ignore[no-untyped-def]
    pages = {"survey-form.png": 1, "survey-form-upside-down.jpg": 1, "table-printed.png": 1, "photo.jpg": 1,
             "register.pdf": 3, "register.tif": 2}  # fmt: skip
    page = browser.new_page()
    page.goto(address)
    for name, count in pages.items():
        with page.expect_response(lambda r: r.url.endswith("/api/process"), timeout=60_000) as answered:
            page.set_input_files("#file", str(SAMPLES / name))
        result = answered.value.json()
        page.wait_for_function(f"document.querySelectorAll('#pages .page img').length === {count}", timeout=30_000)
        texts = [r["text"] for p in result["pages"] for r in p["result"]["readings"] if r["text"]]
        shown = page.locator("#pages td.text").all_inner_texts()
        assert len(texts) > 3 and [t for t in shown if t.isdigit()] == texts, name
