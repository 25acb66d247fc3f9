"""What a PDF's own redundancy says of its data: the checksums of its streams, and the codes of its scans.

Neither PDFium nor poppler says when a stream does not fit its checksum: text and scans behind it are then other ones.
What stands in a PDF without compression has no redundancy, and cannot be checked.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any, BinaryIO

from digitscan.ingest.soundness import jpeg_faults

_MOST_BYTES = 64_000_000
"""Of a file whose streams are checked when it is opened, and of what one stream is checked to give."""
_DICTIONARY = 4096
"""Bytes before a stream in which its dictionary is looked for."""


def damaged_streams(stream: BinaryIO) -> list[int]:
    """Places in a file, in bytes, where compressed streams other than pictures do not fit their checksum."""
    stream.seek(0)
    data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES or b"/Encrypt" in data:
        return []
    found = []
    for match in re.finditer(rb"(?<!end)stream\r?\n", data):
        before = data[max(match.start() - _DICTIONARY, 0) : match.start()]
        dictionary = before[before.rfind(b" obj") + 1 :]
        # Of several filters the first in the list is undone first.
        filters = re.search(rb"/Filter\s*\[?\s*/(\w+)", dictionary)
        pictures = re.search(rb"/Subtype\s*/Image\b", dictionary)
        if filters and filters[1] in (b"FlateDecode", b"Fl") and not pictures and not is_whole(data, match.end()):
            found.append(match.end())
    return found


def is_whole(data: bytes, start: int = 0) -> bool:
    """Whether deflated data end with the checksum of what they give; true for what gives too much to be checked."""
    reader = zlib.decompressobj()
    piece, given = memoryview(data)[start:], 0
    try:
        while not reader.eof:
            given += len(reader.decompress(piece, 1 << 20))
            if given > _MOST_BYTES:
                return True
            before, piece = len(piece), memoryview(reader.unconsumed_tail)
            if not piece and not reader.eof and not reader.decompress(b"", 1 << 20):
                return False
            if before == len(piece) == 0:
                return False
    except zlib.error:
        return False
    return True


def picture_faults(pictures: list[Any], *, g4: bool) -> list[str]:
    """Look at the data of a page's pictures.

    Parameters
    ----------
    pictures : list of PdfImage
    g4 : bool
        Fax pictures of the file are of the two-dimensional kind (G4).
    """
    for picture in pictures:
        try:
            filters = picture.get_filters()
        except ValueError:
            return ["a picture's data are packed in a way whose name is no text"]
        if len(filters) != 1 or filters[0] not in ("DCTDecode", "FlateDecode", "CCITTFaxDecode"):
            continue
        data = bytes(picture.get_data(decode_simple=False))
        if filters[0] == "DCTDecode":
            faults = jpeg_faults(data)
        elif filters[0] == "FlateDecode":
            faults = [] if is_whole(data) else ["a picture's data do not fit their checksum"]
        else:
            faults = _fax_faults(data, *picture.get_px_size()) if g4 else []
        if faults:
            return faults
    return []


def says_g4(stream: BinaryIO) -> bool:
    """Whether a file speaks of fax pictures coded in two dimensions, and of no others."""
    stream.seek(0)
    kinds = re.findall(rb"/K\s*(-?\d+)", stream.read(_MOST_BYTES))
    return bool(kinds) and all(kind.startswith(b"-") for kind in kinds)


def _fax_faults(data: bytes, width: int, height: int) -> list[str]:
    """The same as for a TIFF, in whose clothes the data are put."""
    from PIL import Image

    from digitscan.ingest.tiff_data import tiff_faults

    tags = ((256, width), (257, height), (258, 1), (259, 4), (262, 1), (273, 8 + 2 + 12 * 8 + 4), (278, height))
    entries = sorted((*tags, (279, len(data))))
    head = b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(entries))
    head += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries) + b"\x00" * 4
    file = io.BytesIO(head + data)
    try:
        with Image.open(file) as image:
            image.load()
            return tiff_faults(image, file)
    except (OSError, ValueError, SyntaxError, TypeError):
        return ["a fax picture's data cannot be decoded"]
