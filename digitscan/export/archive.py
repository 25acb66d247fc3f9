"""Forms that archives keep: hOCR, one document for a run, and ALTO, one file a page.

hOCR 1.2 (kba.github.io/hocr-spec/1.2) and ALTO 4.4 (loc.gov/standards/alto). Boxes are source pixels; what has no text,
such as a blank field, is not in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from digitscan.core.atomic import page_stem, write_whole
from digitscan.core.types import Box, FieldReading, GrayImage, PageFailure, PageOutcome, PageResult, RunInfo
from digitscan.export.base import ResultWriter
from digitscan.export.records import clean

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: str) -> str:
    """Text that XML can carry; characters that it forbids become question marks."""
    return _NOT_XML.sub("?", clean(text))


def _corners(box: Box) -> str:
    return f"bbox {box.x} {box.y} {box.right} {box.bottom}"


class HocrWriter(ResultWriter):
    """One XHTML document; a page is an ``ocr_page``, a reading an ``ocr_line`` of one ``ocrx_word``."""

    def begin(self) -> None:
        """Write the head."""
        self._pages = 0
        system = quoteattr(f"digitscan {self.run.digitscan} ({self.run.model.id})")
        self._text(
            '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n'
            '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>digitscan</title>\n'
            '<meta http-equiv="Content-Type" content="text/html; charset=utf-8"/>\n'
            f'<meta name="ocr-system" content={system}/>\n'
            '<meta name="ocr-capabilities" content="ocr_page ocr_line ocrx_word ocrx_cinfo"/>\n</head><body>\n'
        )

    def _text(self, text: str) -> None:
        self._file.write(text.encode())

    def write(self, outcome: PageOutcome, image: GrayImage | None = None) -> None:
        """Write a page; one that could not be read is a comment."""
        self._pages += 1
        if isinstance(outcome, PageFailure):
            why = _xml(f"{outcome.ref.path}, page {outcome.ref.page_number}: {outcome.message}").replace("--", "- -")
            self._text(f"<!-- failed: {escape(why)} -->\n")
            return
        name = _xml(outcome.ref.path).replace('"', "'")
        page = Box(0, 0, outcome.width, outcome.height)
        scanned = f"; scan_res {outcome.dpi:.0f} {outcome.dpi:.0f}" if outcome.dpi else ""
        title = f'image "{name}"; {_corners(page)}; ppageno {outcome.ref.page_index}{scanned}'
        lines = "".join(_hocr_line(reading, self._pages) for reading in outcome.readings if reading.text)
        self._text(f'<div class="ocr_page" id="page_{self._pages}" title={quoteattr(title)}>\n{lines}</div>\n')

    def end(self) -> None:
        """Close the document."""
        self._text("</body></html>\n")


def _hocr_line(reading: FieldReading, page: int) -> str:
    key = re.sub(r"[^\w.-]", "_", f"{page}_{reading.name}", flags=re.ASCII)
    digits = "".join(
        f'<span class="ocrx_cinfo" title="x_bboxes {d.box.x} {d.box.y} {d.box.right} {d.box.bottom}; '
        f'x_confs {100 * d.confidence:.0f}">{d.digit}</span>'
        for d in reading.digits
    )
    word = digits if "".join(d.digit for d in reading.digits) == reading.text else escape(_xml(reading.text))
    box = _corners(reading.box)
    return (
        f'<span class="ocr_line" id="line_{key}" title="{box}"><span class="ocrx_word" id="word_{key}" '
        f'title="{box}; x_wconf {100 * reading.confidence:.0f}">{word}</span></span>\n'
    )


def write_alto(folder: Path, page: PageResult, run: RunInfo, taken: set[str]) -> None:
    """Write a page as ALTO into `folder`, under a name of its own, which is added to `taken`.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_whole(folder / f"{page_stem(page.ref, taken)}.xml", "".join(_alto(page, run)).encode())


def _place(box: Box) -> str:
    return f'HPOS="{box.x}" VPOS="{box.y}" WIDTH="{box.width}" HEIGHT="{box.height}"'


def _alto(page: PageResult, run: RunInfo) -> Iterator[str]:
    whole = Box(0, 0, page.width, page.height)
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#" SCHEMAVERSION="4.4">\n<Description>\n'
        "<MeasurementUnit>pixel</MeasurementUnit>\n"
        f"<sourceImageInformation><fileName>{escape(_xml(page.ref.path))}</fileName></sourceImageInformation>\n"
        '<Processing ID="digitscan"><processingSoftware><softwareName>digitscan</softwareName>'
        f"<softwareVersion>{escape(run.digitscan)}</softwareVersion><applicationDescription>{escape(run.model.id)}"
        "</applicationDescription></processingSoftware></Processing>\n</Description>\n<Layout>\n"
        f'<Page ID="page" PHYSICAL_IMG_NR="{page.ref.page_number}" WIDTH="{page.width}" HEIGHT="{page.height}">\n'
        f"<PrintSpace {_place(whole)}>\n"
    )
    yield from _blocks(reading for reading in page.readings if reading.text)
    yield "</PrintSpace>\n</Page>\n</Layout>\n</alto>\n"


def _blocks(readings: Iterable[FieldReading]) -> Iterator[str]:
    for number, reading in enumerate(readings, 1):
        place = _place(reading.box)
        content, sure = quoteattr(_xml(reading.text)), f"{reading.confidence:.4f}"
        yield (
            f'<TextBlock ID="block{number}" {place}><TextLine ID="line{number}" {place}>'
            f'<String ID="string{number}" CONTENT={content} {place} WC="{sure}">'
        )
        for alternative in reading.alternatives:
            yield f"<ALTERNATIVE>{escape(_xml(alternative.text))}</ALTERNATIVE>"
        for place_in, digit in enumerate(reading.digits, 1):
            yield (
                f'<Glyph ID="glyph{number}.{place_in}" CONTENT="{digit.digit}" {_place(digit.box)} '
                f'GC="{digit.confidence:.4f}"/>'
            )
        yield "</String></TextLine></TextBlock>\n"
