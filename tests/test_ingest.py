from __future__ import annotations

import io
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from digitscan.core.config import IngestConfig
from digitscan.core.errors import IngestError, UsageError
from digitscan.core.types import PageFailure, PageRef
from digitscan.ingest.discover import find_sources
from digitscan.ingest.pages import PageSelection, list_pages, load_page

CONFIG = IngestConfig()


UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip
"""What to do to a page so that an orientation tag brings it back."""


def load(path: Path, index: int = 0, config: IngestConfig = CONFIG) -> np.ndarray:
    return load_page(PageRef(str(path), index), config).image


def marked(width: int = 60, height: int = 40) -> np.ndarray:
    """White paper with a black mark in the top left corner."""
    image = np.full((height, width), 255, np.uint8)
    image[2:12, 2:12] = 0
    return image


# ---------------------------------------------------------------- broken files first


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.pdf", b"", "0 bytes"),
        ("page.png", b"PK\x03\x04rest", "ZIP"),
        ("page.jpg", b"<!doctype html><p>no", "HTML"),
        ("page.tif", b"just some words", "not an image"),
        ("short.png", b"\x89PNG\r\n\x1a\n", "damaged"),
        ("short.jpg", b"\xff\xd8\xff\xe0", "damaged"),
        ("short.tif", b"II*\x00\xff\xff\xff\x7f", "damaged"),
        ("short.pdf", b"%PDF-1.4\nnothing follows", "damaged"),
    ],
)
def test_broken_files_say_what_they_are(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(IngestError, match=words) as caught:
        for ref in list_pages(str(file), CONFIG):
            load_page(ref, CONFIG)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
def test_truncated_images_are_refused(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200), dtype=np.uint8)
    whole = tmp_path / f"whole{suffix}"
    Image.fromarray(noise).save(whole)
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(IngestError):
        load(cut)


def test_over_the_limit_is_refused_before_decoding(tmp_path: Path) -> None:
    file = tmp_path / "wide.png"
    Image.fromarray(np.full((10, 30_000), 255, np.uint8)).save(file)
    assert load(file).shape == (10, 30_000)
    with pytest.raises(IngestError, match="30000 x 10"):
        load(file, config=IngestConfig(max_pixels=100_000))


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(marked()).save(file)

    def refuse(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("digitscan.ingest.source.os.open", refuse)
    with pytest.raises(IngestError, match="Permission denied"):
        list(list_pages(str(file), CONFIG))


# ---------------------------------------------------------------- colours and depths


def test_one_pixel(tmp_path: Path) -> None:
    file = tmp_path / "dot.png"
    Image.fromarray(np.array([[7]], np.uint8)).save(file)
    assert load(file).tolist() == [[7]]


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    file = tmp_path / "deep.png"
    cv2.imwrite(str(file), np.array([[0, 32768, 65535]], np.uint16))
    assert load(file).tolist() == [[0, 127, 255]]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_modes_keep_paper_white_and_ink_black(tmp_path: Path, mode: str) -> None:
    file = tmp_path / ("page.jpg" if mode == "CMYK" else "page.png")
    Image.fromarray(marked()).convert("RGB").convert(mode).save(file)
    image = load(file)
    assert image[6, 6] < 40 and image[30, 50] > 215


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 4), np.uint8)
    pixels[2:12, 2:12, 3] = 255
    file = tmp_path / "alpha.png"
    Image.fromarray(pixels).save(file)
    image = load(file)
    assert image[6, 6] == 0 and image[30, 50] == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(tmp_path: Path, orientation: int) -> None:
    stored = Image.fromarray(marked())
    if orientation in UNDO:
        stored = stored.transpose(UNDO[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "turned.jpg"
    stored.save(file, exif=exif, quality=95)
    image = load(file)
    assert image.shape == (40, 60)
    assert image[6, 6] < 60 and image[30, 50] > 200


def test_dpi_is_read_and_silly_ones_are_not(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(marked()).save(file, dpi=(300, 300))
    assert load_page(PageRef(str(file)), CONFIG).dpi == pytest.approx(300, abs=1)
    Image.fromarray(marked()).save(file, dpi=(1, 1))
    assert load_page(PageRef(str(file)), CONFIG).dpi is None


# ---------------------------------------------------------------- many pages


def test_tiff_pages_of_all_kinds(tmp_path: Path) -> None:
    from PIL import TiffImagePlugin

    file = tmp_path / "many.tif"
    pages = [
        ("group4", "1", 60),
        ("group3", "1", 80),
        ("tiff_lzw", "L", 70),
        ("jpeg", "L", 90),
        ("tiff_deflate", "RGB", 50),
    ]
    with TiffImagePlugin.AppendingTiffWriter(str(file), True) as tiff:
        for compression, mode, width in pages:
            Image.fromarray(marked(width)).convert(mode).save(tiff, format="TIFF", compression=compression)
            tiff.newFrame()
    refs = list(list_pages(str(file), CONFIG))
    assert [ref.page_number for ref in refs] == [1, 2, 3, 4, 5]
    for ref, (_, _, width) in zip(refs, pages, strict=True):
        image = load_page(ref, CONFIG).image
        assert image.shape == (40, width) and image[6, 6] < 60 and image[30, 40] > 200


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "jpeg", "group4"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_orientation_is_applied_once(tmp_path: Path, orientation: int, compression: str | None) -> None:
    stored = Image.fromarray(marked()).convert("1" if compression == "group4" else "L")
    if orientation in UNDO:
        stored = stored.transpose(UNDO[orientation])
    file = tmp_path / "turned.tif"
    stored.save(file, compression=compression, tiffinfo={274: orientation})
    image = load(file)
    assert image.shape == (40, 60)
    assert image[6, 6] < 60 and image[30, 50] > 200


def pdf_of(images: list[np.ndarray], resolution: float = 100) -> bytes:
    stream = io.BytesIO()
    first, *rest = [Image.fromarray(i) for i in images]
    first.save(stream, format="PDF", save_all=True, append_images=rest, resolution=resolution, quality=95)
    return stream.getvalue()


def test_scanned_pdf_is_lifted_at_its_own_resolution(tmp_path: Path) -> None:
    file = tmp_path / "scan.pdf"
    file.write_bytes(pdf_of([marked(600, 400), marked(300, 500)], 150))
    pages = [load_page(ref, CONFIG) for ref in list_pages(str(file), CONFIG)]
    assert [p.image.shape for p in pages] == [(400, 600), (500, 300)]
    assert pages[0].dpi == pytest.approx(150, abs=1)
    assert pages[0].image[6, 6] < 40 and pages[0].image[300, 500] > 215


VECTOR = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 144 72]/Contents 4 0 R>>endobj
4 0 obj<</Length 18>>stream
0 g 0 36 72 36 re f
endstream endobj
trailer<</Root 1 0 R>>
"""


@pytest.mark.parametrize("poppler", [True, False])
def test_vector_pages_are_rasterized_with_and_without_poppler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, poppler: bool
) -> None:
    file = tmp_path / "vector.pdf"
    file.write_bytes(VECTOR)
    if not poppler:
        monkeypatch.setattr(shutil, "which", lambda name: None)
    image = load(file)
    assert abs(image.shape[0] - 300) <= 1 and abs(image.shape[1] - 600) <= 1
    assert image[75, 150] < 10 and image[75, 450] > 245 and image[225, 150] > 245


def image_pdf(
    image: bytes, *, content: bytes = b"q 144 0 0 72 0 0 cm /I Do Q", more: bytes = b"", page: bytes = b""
) -> bytes:
    """A page of 144 x 72 points with one image object, 1 bit or 8 bits a pixel as its dictionary says."""
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 144 72]/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>>>"
        + page + b">>endobj\n4 0 obj<</Length %d>>stream\n%s\nendstream endobj\n" % (len(content), content)
        + image + more + b"trailer<</Root 1 0 R>>\n"
    )  # fmt: skip


def image_object(number: int, pixels: np.ndarray, entries: bytes) -> bytes:
    data = pixels.tobytes()
    height, width = pixels.shape[0], 600
    return (
        b"%d 0 obj<</Type/XObject/Subtype/Image/Width %d/Height %d%s/Length %d>>stream\n"
        % (number, width, height, entries, len(data))
        + data
        + b"\nendstream endobj\n"
    )


GREY = b"/ColorSpace/DeviceGray/BitsPerComponent 8"


def corner() -> np.ndarray:
    """A page of 600 x 300 pixels, black in its top left quarter."""
    page = np.full((300, 600), 255, np.uint8)
    page[:150, :300] = 0
    return page


def pdf_pages() -> dict[str, bytes]:
    bits = np.packbits(corner() == 0, axis=1)
    mask = image_object(6, np.where(corner() == 0, 255, 0).astype(np.uint8), GREY)
    stamp = (
        b"6 0 obj<</Type/Annot/Subtype/Stamp/Rect[0 36 72 72]/F 4/AP<</N 7 0 R>>>>endobj\n"
        b"7 0 obj<</Type/XObject/Subtype/Form/BBox[0 0 72 36]/Length 17>>stream\n0 g 0 0 72 36 re f\nendstream endobj\n"
    )
    white, black = np.full((300, 600), 255, np.uint8), np.zeros((300, 600), np.uint8)
    return {
        "plain": image_pdf(image_object(5, corner(), GREY)),
        "inverted decode": image_pdf(image_object(5, 255 - corner(), GREY + b"/Decode[1 0]")),
        "stencil": image_pdf(image_object(5, bits, b"/ImageMask true/BitsPerComponent 1/Decode[1 0]")),
        "soft mask": image_pdf(image_object(5, black, GREY + b"/SMask 6 0 R"), more=mask),
        "clip": image_pdf(image_object(5, black, GREY), content=b"q 0 36 72 36 re W n 144 0 0 72 0 0 cm /I Do Q"),
        "stamp": image_pdf(image_object(5, white, GREY), more=stamp, page=b"/Annots[6 0 R]"),
    }


@pytest.mark.parametrize("kind", list(pdf_pages()))
@pytest.mark.parametrize("poppler", [True, False])
def test_one_image_pages_look_as_in_a_viewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, poppler: bool
) -> None:
    file = tmp_path / "page.pdf"
    file.write_bytes(pdf_pages()[kind])
    if not poppler:
        monkeypatch.setattr(shutil, "which", lambda name: None)
    image = load(file)
    assert abs(image.shape[0] - 300) <= 1 and abs(image.shape[1] - 600) <= 1
    assert image[75, 150] < 10 and image[75, 450] > 245 and image[225, 150] > 245


def test_silly_page_sizes_are_capped(tmp_path: Path) -> None:
    file = tmp_path / "huge.pdf"
    file.write_bytes(VECTOR.replace(b"[0 0 144 72]", b"[0 0 14400 7200]"))
    assert load(file, config=IngestConfig(max_pixels=1_000_000)).size <= 1_010_000


def test_locked_and_empty_pdf(tmp_path: Path) -> None:
    locked = tmp_path / "locked.pdf"
    encrypt = (
        b"5 0 obj<</Filter/Standard/V 1/R 2/P -44/O<" + b"41" * 32 + b">/U<" + b"42" * 32 + b">>>endobj\n"
        b"trailer<</Root 1 0 R/Encrypt 5 0 R/ID[<00><00>]>>\n"
    )
    locked.write_bytes(VECTOR[: VECTOR.index(b"trailer")] + encrypt)
    with pytest.raises(IngestError, match=r"password|damaged"):
        list(list_pages(str(locked), CONFIG))
    empty = tmp_path / "empty.pdf"
    empty.write_bytes(VECTOR.replace(b"/Kids[3 0 R]/Count 1", b"/Kids[]/Count 0"))
    with pytest.raises(IngestError, match=r"0 pages|damaged"):
        list(list_pages(str(empty), CONFIG))


# ---------------------------------------------------------------- page selection


def test_selection() -> None:
    assert list(PageSelection.parse("1,3-5").indices(10)) == [0, 2, 3, 4]
    assert list(PageSelection.parse("9-").indices(10)) == [8, 9]
    assert list(PageSelection.parse("").indices(3)) == [0, 1, 2]


@pytest.mark.parametrize("text", ["0", "a", "5-3", "1;2", "-3"])
def test_bad_selections_teach(text: str) -> None:
    with pytest.raises(UsageError, match="1,3-5"):
        PageSelection.parse(text)


def test_asking_for_pages_that_are_not_there(tmp_path: Path) -> None:
    file = tmp_path / "two.pdf"
    file.write_bytes(pdf_of([marked(), marked()]))
    with pytest.raises(IngestError, match="2 pages"):
        list(list_pages(str(file), IngestConfig(pages="7-9")))
    assert [r.page_number for r in list_pages(str(file), IngestConfig(pages="2"))] == [2]


# ---------------------------------------------------------------- discovery


def names(found: list[str | PageFailure]) -> list[str]:
    return [Path(f).name for f in found if isinstance(f, str)]


def test_folders_are_walked_in_natural_order(tmp_path: Path) -> None:
    for name in ("page10.png", "page2.PNG", "b/page1.tif", ".hidden.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert names(list(find_sources([str(tmp_path)]))) == ["page1.tif", "page2.PNG", "page10.png"]


def test_what_leads_nowhere_is_a_failure_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = tmp_path / "a.png"
    good.write_bytes(b"x")
    (tmp_path / "void").mkdir()
    found = list(find_sources([str(tmp_path / "gone.png"), str(tmp_path / "*.jpg"), str(tmp_path / "void"), str(good)]))
    assert [type(f) for f in found] == [PageFailure, PageFailure, PageFailure, str]
    assert all(f.remedy for f in found if isinstance(f, PageFailure))


def test_each_source_once_globs_and_lists(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    listed = io.StringIO(f"{tmp_path / 'b.png'}\n\n{tmp_path / 'a.png'}\n")
    found = list(find_sources([str(tmp_path / "*.png"), "-", str(tmp_path)], stdin=listed))
    assert names(found) == ["a.png", "b.png"]


def test_link_loops_end_and_own_outputs_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"x")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in", target_is_directory=True)
    out = tmp_path / "in" / "pictures"
    out.mkdir()
    (out / "a.jpg").write_bytes(b"x")
    assert names(list(find_sources([str(tmp_path / "in")], exclude={out.resolve()}))) == ["a.png"]
