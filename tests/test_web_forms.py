"""The template editor: zones found, moved, named, and saved as a template that reads."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from digitscan.core.config import Config
from digitscan.forms.formset import FormSet
from digitscan.forms.template import load_template
from digitscan.web.app import create_app
from digitscan.web.settings import WebSettings
from tests.conftest import SAMPLES, free_port, served

BLANK = SAMPLES / "forms" / "delivery.png"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(WebSettings()), base_url="http://localhost:8000") as client:
        yield client


def drafted(client: TestClient):  # type: ignore[no-untyped-def]
    answer = client.post("/api/forms/draft", files={"file": (BLANK.name, BLANK.read_bytes())})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_blank_is_drafted_and_its_template_reads(client: TestClient, tmp_path: Path) -> None:
    draft = drafted(client)
    assert draft["zones"] and draft["picture"].startswith("data:image/jpeg;base64,")
    assert len({zone["name"] for zone in draft["zones"]}) == len(draft["zones"])
    draft["zones"][0]["name"] = "order_number"
    given = {key: draft[key] for key in ("width", "height", "dpi", "known_dpi", "zones")}
    answer = client.post("/api/forms/template", json={"name": "delivery", "blank": BLANK.name, **given})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("application/toml")
    shutil.copy(BLANK, tmp_path)
    (tmp_path / "delivery.toml").write_text(answer.text)
    template = load_template(tmp_path / "delivery.toml")
    assert "order_number" in [zone.name for zone in (*template.field, *template.grid)]
    assert len(template.field) + len(template.grid) == len(draft["zones"])
    [page] = FormSet([template], Config()).pages
    tall, wide = page.blank.image.shape
    assert tall / wide == pytest.approx(draft["height"] / draft["width"], rel=0.01) and page.cells


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "a b"}, "request"),
        ({"blank": "../../etc/passwd"}, "request"),
        ({"zones": []}, "request"),
        ({"zones": [{"name": "a", "kind": "free", "box": [0, 0, 99_999, 5]}]}, "beyond the page"),
        ({"zones": [{"name": "a", "kind": "free", "box": [0, 0, 9, 9]}] * 2}, "no template"),
        ({"zones": [{"name": 'a"\n[x]', "kind": "free", "box": [0, 0, 9, 9]}]}, "request"),
    ],
    ids=("name", "path", "nothing", "beyond", "twice", "injection"),
)
def test_what_is_no_template_is_refused(client: TestClient, change: dict[str, object], words: str) -> None:
    zone = {"name": "a", "kind": "boxes", "box": [10, 10, 200, 40], "columns": 4}
    given = {"name": "f", "blank": "b.png", "width": 800, "height": 600, "dpi": 150, "known_dpi": True, "zones": [zone]}
    assert client.post("/api/forms/template", json=given).status_code == 200
    answer = client.post("/api/forms/template", json={**given, **change})
    assert answer.status_code == 422 and words in answer.json()["title"]


def test_no_picture_is_no_blank(client: TestClient) -> None:
    assert client.post("/api/forms/draft", files={"file": ("a.png", b"no picture")}).status_code == 422


def test_zones_are_named_moved_added_and_saved_in_a_browser(browser, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]

    with served(WebSettings(port=free_port())) as address:
        page = browser.new_page(viewport={"width": 1200, "height": 1400})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}/forms")
        page.set_input_files("#file", str(BLANK))
        page.get_by_text("zones found").wait_for(timeout=30_000)
        count = page.locator("#list button").count()
        page.locator("#list button").first.click()
        page.fill("[name=name]", "order_number")
        page.locator("#list button", has_text="order_number").wait_for(timeout=5_000)
        area = page.locator(".zone.chosen .area").bounding_box()
        assert area is not None
        page.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
        page.mouse.down()
        page.mouse.move(area["x"] + area["width"] / 2 + 12, area["y"] + area["height"] / 2 + 6, steps=4)
        page.mouse.up()
        moved = page.locator(".zone.chosen .area").bounding_box()
        assert moved is not None and abs(moved["x"] - area["x"] - 12) < 2 and abs(moved["y"] - area["y"] - 6) < 2
        sheet = page.locator("#sheet").bounding_box()
        assert sheet is not None
        page.mouse.move(sheet["x"] + sheet["width"] * 0.75, sheet["y"] + 12)
        page.mouse.down()
        page.mouse.move(sheet["x"] + sheet["width"] * 0.75 + 90, sheet["y"] + 34, steps=4)
        page.mouse.up()
        assert page.locator("#list button").count() == count + 1
        page.fill("[name=name]", "added")
        page.select_option("[name=kind]", "free")
        page.locator("#list button").nth(1).click()
        page.click("#remove")
        with page.expect_download() as saved:
            page.click("#download")
        saved.value.save_as(tmp_path / "delivery.toml")
        assert complaints == []
    shutil.copy(BLANK, tmp_path)
    template = load_template(tmp_path / "delivery.toml")
    names = [zone.name for zone in (*template.field, *template.grid)]
    assert len(names) == count and {"order_number", "added"} <= set(names)
    added = next(field for field in template.field if field.name == "added")
    assert (
        added.kind == "free" and tomllib.loads((tmp_path / "delivery.toml").read_text())["form"]["blank"] == BLANK.name
    )
