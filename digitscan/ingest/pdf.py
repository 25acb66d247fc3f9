"""PDF: scans are lifted as they are, everything else is rasterized page by page."""

from __future__ import annotations

import atexit
import shutil
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from digitscan.core.config import IngestConfig
from digitscan.core.errors import IngestError
from digitscan.core.types import GrayImage, PageRef, RasterPage
from digitscan.ingest.image import our_limit
from digitscan.ingest.pdf_data import damaged_streams, picture_faults, says_g4
from digitscan.ingest.source import Source, forget_open_sources

_PDFIUM = threading.Lock()
"""PDFium is not thread-safe."""
_MANY_PAGES = 2000
"""Pages of a file from which PDFium draws them all, in which the file stays open."""
_MOST_SIDE = 40_000
"""Pixels of a side of a page that is rasterized."""


@dataclass(slots=True)
class _Open:
    """A document that stays open between pages."""

    document: Any
    damaged: list[int]
    g4: bool

    def close(self) -> None:
        with _PDFIUM:
            self.document.close()


@contextmanager
def _document(source: Source) -> Iterator[_Open]:
    import pypdfium2 as pdfium

    with _PDFIUM:
        if source.handle is None:
            # PDFium takes itself apart when the process ends: what is open must be closed before.
            atexit.unregister(forget_open_sources)
            atexit.register(forget_open_sources)
            try:
                document = pdfium.PdfDocument(source.path)
            except pdfium.PdfiumError as error:
                text = str(error).lower()
                if "password" in text or "security" in text:
                    raise IngestError(
                        "the PDF is encrypted with a password", remedy="save it without a password"
                    ) from error
                raise IngestError(
                    "the PDF is damaged", remedy="open it in a viewer and save or print it to PDF again"
                ) from error
            except OSError as error:
                raise IngestError(f"cannot open: {error.strerror or error}", remedy="check the path") from error
            source.handle = _Open(document, damaged_streams(source.stream), says_g4(source.stream))
            source.close_handle = source.handle.close
        yield source.handle


def count_pages(source: Source) -> int:
    """Pages of a PDF.

    Raises
    ------
    IngestError
        If it is damaged, locked by a password, or has no pages.
    """
    with _document(source) as opened:
        count = len(opened.document)
    if count == 0:
        raise IngestError("the PDF has 0 pages", remedy="export it again")
    return count


def _lift(page: Any, config: IngestConfig) -> tuple[GrayImage, float] | None:
    """The scan that a page consists of, at its own resolution, with its dpi; None where it is more than that."""
    import pypdfium2.raw as raw

    objects = list(page.get_objects(max_depth=1))
    if len(objects) != 1 or objects[0].type != raw.FPDF_PAGEOBJ_IMAGE or page.get_rotation() != 0:
        return None
    if _has_visible_annotation(page):
        return None
    image = objects[0]
    a, b, c, d, e, f = image.get_matrix().get()
    left, bottom, right, top = page.get_cropbox()
    width, height = right - left, top - bottom
    upright = abs(b) < 1e-3 * width and abs(c) < 1e-3 * height and a > 0 and d > 0
    covers = abs(e - left) < 0.02 * width and abs(f - bottom) < 0.02 * height
    covers = covers and abs(a - width) < 0.03 * width and abs(d - height) < 0.03 * height
    if not (upright and covers):
        return None
    info = image.get_metadata()
    if info.width < 1 or info.height < 1 or info.width * info.height > config.max_pixels:
        return None
    # PDFium owns this bitmap and frees it with the page; closing it here would free it twice.
    bitmap = image.get_bitmap(render=False, scale_to_original=True)
    pixels = bitmap.to_numpy()
    if pixels.shape[:2] != (info.height, info.width):
        return None
    if bitmap.mode == "L":
        gray = np.array(pixels.reshape(pixels.shape[:2]), np.uint8)
    elif bitmap.mode in ("BGR", "BGRX"):
        import cv2

        gray = np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels[:, :, :3]), cv2.COLOR_BGR2GRAY), np.uint8)
    else:
        return None
    # Masks, soft masks, decode arrays and clips change what one sees: a lift must look like the page.
    if not _looks_like(gray, page):
        return None
    return gray, info.width / width * 72.0


def _has_visible_annotation(page: Any) -> bool:
    """Whether something is drawn over the page: a stamp, a form's entry, a comment. Links show nothing."""
    import pypdfium2.raw as raw

    for index in range(raw.FPDFPage_GetAnnotCount(page)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        raw.FPDFPage_CloseAnnot(annotation)
        if kind not in (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_POPUP):
            return True
    return False


def _looks_like(gray: GrayImage, page: Any) -> bool:
    """Whether a lifted scan agrees with a small rendering of its page, block by block."""
    import cv2

    rendered = _render(page, 72.0 * 160 / max(page.get_size()))
    blocks = (12, 12)
    seen = cv2.resize(rendered, blocks, interpolation=cv2.INTER_AREA)
    lifted = cv2.resize(gray, blocks, interpolation=cv2.INTER_AREA)
    return int(cv2.absdiff(seen, lifted).max()) < 64


def _scale_for(page: Any, config: IngestConfig) -> float:
    """Resolution at which a page fits the limits of pixels and of sides; a page may declare a silly size.

    Raises
    ------
    IngestError
        If a side is then less than a pixel.
    """
    width, height = page.get_size()
    pixels = (width / 72) * (height / 72) * config.pdf_dpi**2
    fits = min(1.0, (config.max_pixels / max(pixels, 1.0)) ** 0.5)
    dpi = min(config.pdf_dpi * fits, _MOST_SIDE * 72 / max(width, height, 1.0))
    if not min(width, height) * dpi / 72 >= 1.0:
        raise IngestError(f"page of {width:g} x {height:g} points cannot be drawn", remedy="export it again")
    return float(dpi)


def _render(page: Any, dpi: float) -> GrayImage:
    bitmap = page.render(scale=dpi / 72.0, grayscale=True)
    try:
        return np.array(bitmap.to_numpy().reshape(bitmap.height, bitmap.width), np.uint8)
    finally:
        bitmap.close()


def _poppler(ref: PageRef, dpi: float, config: IngestConfig) -> GrayImage | None:
    """Rasterize with poppler; None where it is absent, fails or takes too long."""
    if shutil.which("pdftoppm") is None:
        return None
    from pdf2image import convert_from_path
    from pdf2image.exceptions import PDFPageCountError, PDFPopplerTimeoutError, PDFSyntaxError
    from PIL import Image

    try:
        with our_limit, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            pages = convert_from_path(
                ref.path,
                dpi=round(dpi),
                first_page=ref.page_number,
                last_page=ref.page_number,
                grayscale=True,
                timeout=round(config.pdf_timeout_s),
                use_cropbox=True,
            )
    except PDFPopplerTimeoutError as error:
        raise IngestError(
            f"the PDF page takes more than {config.pdf_timeout_s:g} s to draw",
            remedy="print the page to a new PDF, or raise ingest.pdf_timeout_s",
        ) from error
    except (
        PDFPageCountError,
        PDFSyntaxError,
        OSError,
        ValueError,
        Image.DecompressionBombError,
    ):
        return None
    return np.asarray(pages[0].convert("L"), np.uint8) if pages else None


def load(source: Source, ref: PageRef, config: IngestConfig) -> RasterPage:
    """Lift or rasterize one page.

    Raises
    ------
    IngestError
        If the page is damaged, of a shape that cannot be drawn, or the document locked.
    """
    import pypdfium2 as pdfium

    with _document(source) as opened:
        if ref.page_index >= len(opened.document):
            raise IngestError(f"has no page {ref.page_number}", remedy="change --pages")
        many = len(opened.document) > _MANY_PAGES
        try:
            page = opened.document[ref.page_index]
            dpi = _scale_for(page, config)
            faults, scan = _faults(page, opened)
            try:
                lifted = _lift(page, config) if scan else None
            except (pdfium.PdfiumError, ValueError, RuntimeError):
                lifted = None
        except pdfium.PdfiumError as error:
            raise IngestError("the PDF page is damaged", remedy="print the page to a new PDF") from error
        if lifted is not None:
            return RasterPage(ref, lifted[0], round(lifted[1], 1) if 50 <= lifted[1] <= 2400 else None, faults)
    # Poppler opens the file anew for each page, and walks to it from the first: the last ones would cost most.
    image = None if many else _poppler(replace(ref, path=source.path), dpi, config)
    if image is None:
        with _document(source) as opened:
            try:
                image = _render(opened.document[ref.page_index], dpi)
            except (pdfium.PdfiumError, ValueError, MemoryError) as error:
                raise IngestError("the PDF page cannot be drawn", remedy="print the page to a new PDF") from error
    return RasterPage(ref, np.ascontiguousarray(image), round(dpi, 1), faults)


_MOST_PICTURES = 50
"""Pictures of a page whose data are looked at."""


def _faults(page: Any, opened: _Open) -> tuple[tuple[str, ...], bool]:
    """What is wrong with a page's data, and whether it is a single picture, which may be a scan."""
    import pypdfium2.raw as raw

    objects = list(islice(page.get_objects(max_depth=3), 20_000))
    pictures = [o for o in objects if o.type == raw.FPDF_PAGEOBJ_IMAGE][:_MOST_PICTURES]
    faults = picture_faults(pictures, g4=opened.g4)
    if opened.damaged:
        places = ", ".join(str(place) for place in opened.damaged[:3])
        faults.append(f"parts of the PDF do not fit their checksum (at byte {places})")
    return tuple(faults), len(objects) == 1 and len(pictures) == 1
