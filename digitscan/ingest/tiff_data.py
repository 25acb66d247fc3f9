"""What the data of a TIFF's page say of themselves: checksums, lengths, and whether they are what their picture gives.

G4 and LZW carry no checksum, but both have one way of coding a picture: codes that no encoder would have chosen, or
that end too early or too late, mean that a bit has changed. See docs/adr/0015.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from digitscan.ingest.soundness import jpeg_faults, shifted_row

_G4, _LZW, _JPEG, _DEFLATE = 4, 5, 7, (8, 32946)
_MOST_CODES = 600_000
"""LZW codes of a page that are walked one by one, where another encoder than ours made them."""
_CLEAR, _END = 256, 257


def tiff_faults(image: Any, stream: BinaryIO) -> list[str]:
    """Look at the data of the frame at which an image stands, and which is decoded.

    Parameters
    ----------
    image : PIL TiffImageFile
    stream : binary file
        That it reads from.
    """
    tags: Mapping[int, Any] = image.tag_v2
    compression = tags.get(259, 1)
    places = _numbers(tags.get(324) or tags.get(273)), _numbers(tags.get(325) or tags.get(279))
    if compression == 1 or not all(places) or len(places[0]) != len(places[1]):
        return []
    pieces = list(_pieces(stream, *places))
    if compression in _DEFLATE:
        return _first(_deflate_fault(piece, size) for piece, size in _sized(pieces, tags))
    if compression == _JPEG:
        tables = tags.get(347, b"")
        whole = [tables[:-2] + piece[2:] if tables else piece for piece in pieces]
        return [fault for piece in whole for fault in jpeg_faults(piece)][:1]
    striped = 324 not in tags
    if compression == _G4:
        if striped and image.mode == "1" and not _as_coded_again(image, tags, pieces, "group4"):
            return ["the page's G4 data do not fit the picture that they give: damaged, or made by an odd encoder"]
        return []
    if compression == _LZW:
        if tags.get(317, 1) == 2 and image.mode == "L" and (row := shifted_row(np.asarray(image))) is not None:
            return [f"the page's LZW data may be damaged: row {row} is shifted in brightness from somewhere on"]
        if striped and image.mode in ("1", "L", "RGB") and _as_coded_again(image, tags, pieces, "tiff_lzw"):
            return []
        left = _MOST_CODES
        faults = []
        for piece, size in _sized(pieces, tags):
            left -= 2 * len(piece) // 3
            if left < 0:
                break
            faults.append(lzw_fault(piece, size))
        return _first(iter(faults))
    return []


def _numbers(value: Any) -> tuple[int, ...]:
    return () if value is None else tuple(value) if isinstance(value, tuple | list) else (int(value),)


def _pieces(stream: BinaryIO, offsets: tuple[int, ...], counts: tuple[int, ...]) -> Iterator[bytes]:
    for offset, count in zip(offsets, counts, strict=True):
        stream.seek(offset)
        yield stream.read(count)


def _first(faults: Iterator[str]) -> list[str]:
    found = next(filter(None, faults), "")
    return [found] if found else []


def _sized(pieces: list[bytes], tags: Mapping[int, Any]) -> Iterator[tuple[bytes, int]]:
    """Strips or tiles with the bytes that each must give."""
    width, height = int(tags[256]), int(tags[257])
    bits = _numbers(tags.get(258, 1))
    samples = int(tags.get(277, 1))
    planar = tags.get(284, 1) == 2
    deep = bits[0] * (1 if planar else samples)
    if 324 in tags:
        size = int(tags[323]) * ((int(tags[322]) * deep + 7) // 8)
        yield from ((piece, size) for piece in pieces)
        return
    rows = min(int(tags.get(278, height)), height)
    row_bytes = (width * deep + 7) // 8
    a_plane = max(1, -(-height // rows))
    for number, piece in enumerate(pieces):
        yield piece, min(rows, height - (number % a_plane) * rows) * row_bytes


def _deflate_fault(piece: bytes, size: int) -> str:
    """What zlib says of a strip: libtiff stops at its last pixel, before the checksum."""
    reader = zlib.decompressobj()
    try:
        data = reader.decompress(piece, size + 1)
        if len(data) <= size and not reader.eof:
            data += reader.decompress(reader.unconsumed_tail, 1)
    except zlib.error as error:
        return f"the page's data are damaged ({error})"
    if len(data) != size or not reader.eof:
        return "the page's data are damaged (they end too early or too late)"
    return ""


def _as_coded_again(image: Any, tags: Mapping[int, Any], pieces: list[bytes], compression: str) -> bool:
    """Whether libtiff codes the picture into the same bytes."""
    from PIL import Image, ImageChops

    plain = image.copy()
    if image.mode in ("1", "L") and tags.get(262) == 0:  # white is 0: the picture was inverted on its way
        plain = ImageChops.invert(plain.convert("L")).convert("1") if image.mode == "1" else ImageChops.invert(plain)
    bits = {"1": 1, "L": 8, "RGB": 24}[image.mode]
    row_bytes = (image.width * bits + 7) // 8
    rows = min(int(tags.get(278, image.height)), image.height)
    again = io.BytesIO()
    extra = {317: int(tags.get(317, 1))} if compression == "tiff_lzw" else {}
    plain.save(again, "TIFF", compression=compression, strip_size=rows * row_bytes, tiffinfo=extra)
    other: Any
    with Image.open(again) as other:
        own = list(_pieces(again, _numbers(other.tag_v2[273]), _numbers(other.tag_v2[279])))
    if len(own) != len(pieces):
        return False
    mirrored = tags.get(266, 1) == 2
    return all(_alike(a.translate(_MIRROR) if mirrored else a, b) for a, b in zip(pieces, own, strict=True))


_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


_ENDS = re.compile("(0{11,}1)*0*")
"""Any number of ends of line, and bits that fill the last bytes."""


def _alike(one: bytes, other: bytes) -> bool:
    """Whether two strips are the same up to how they say that they end, and to bits that fill the last bytes."""
    if one == other:
        return True
    most = max(len(other) - 4, 0)
    if not one.startswith(other[:most]) or len(one) > most + 64:
        return False
    rest, own = (
        f"{int.from_bytes(part, 'big'):0{8 * len(part)}b}" if part else "" for part in (one[most:], other[most:])
    )
    last = own.rstrip("0").removesuffix("000000000001000000000001")
    return rest.startswith(last) and _ENDS.fullmatch(rest[len(last) :]) is not None


def lzw_fault(piece: bytes, size: int) -> str:
    """Walk a strip's LZW codes; empty where they are such as an encoder makes.

    A code must be in the table; together they must give `size` bytes and end there; and, as encoders always take the
    longest string of the table, none may be followed by a byte that would have made a longer one.
    """
    table: dict[tuple[int, int], int] = {}
    first, lengths = list(range(256)) + [0, 0], [1] * 256 + [0, 0]
    bits, wide, given, before = 0, 9, 0, -1
    value = place = 0
    shorter = 0
    if len(piece) < 2 or piece[0] != 0x80 or piece[1] & 0x80:
        return ""  # it does not begin by clearing the table, as TIFF's does: another dialect
    while True:
        while bits < wide:
            if place >= len(piece):
                return "" if given == size and not shorter else "the page's LZW data end too early"
            value = (value << 8 | piece[place]) & 0xFFFFFF
            place += 1
            bits += 8
        code = (value >> (bits - wide)) & ((1 << wide) - 1)
        bits -= wide
        if code == _END:
            break
        if code == _CLEAR:
            table.clear()
            del first[258:], lengths[258:]
            wide, before = 9, -1
            continue
        known = len(first)
        if code > known or (code == known and before < 0):
            return "the page's LZW data are damaged (a code that is in no table)"
        if before >= 0:
            follows = first[code] if code < known else first[before]
            key = before, follows
            if key in table:
                shorter += 1  # an encoder would have taken the longer string
            else:
                table[key] = known
            if known < 4096:
                first.append(first[before])
                lengths.append(lengths[before] + 1)
        given += lengths[code]
        if given > size:
            return "the page's LZW data give more than the page"
        before = code
        if len(first) >= (1 << wide) - 1 and wide < 12:
            wide += 1
    if given != size:
        return "the page's LZW data end too early"
    return "the page's LZW data hold codes that no encoder chooses: damaged" if shorter else ""
