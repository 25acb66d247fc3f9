"""What a picture's own redundancy says of its data: checksums that decoders skip, and anomalies that they pass over.

A flipped bit mostly decodes to a picture, only to another one. PNG has checksums. JPEG has none: what can be seen
there is data that end too early or too late, and a step of the paper's brightness in the middle of a row of blocks,
which is what a broken difference leaves behind. What changes a few pixels of one block cannot be seen.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from digitscan.core.errors import IngestError

_STEP = 2.0
"""Grey levels by which the paper must change in the middle of a row of blocks to be told."""
_ALIKE = 1.6
"""Grey levels within which blocks of paper above each other are alike, at the most; less than half a step."""
_SHARE = 0.3
"""Share of a row's blocks that must be paper and show the step: print covers the rest."""
_FEWEST = 3
"""Such blocks on either side of the place."""
_AGAINST = 0.03
"""Share of them that may lie on the wrong side of it."""
_SLOPE = 0.1
"""Blocks in which the step is halfway, as a share of them, at the most."""


def png_faults(raw: bytes) -> list[str]:
    """Check every chunk of a PNG.

    Raises
    ------
    IngestError
        If a chunk that its pixels depend on does not fit its checksum.
    """
    faults = []
    place = 8
    while place + 12 <= len(raw):
        length = int.from_bytes(raw[place : place + 4], "big")
        kind = raw[place + 4 : place + 8]
        end = place + 8 + length
        if end + 4 > len(raw):
            break  # cut off: the decoder says so
        if zlib.crc32(raw[place + 4 : end]) != int.from_bytes(raw[end : end + 4], "big"):
            name = kind.decode("ascii", "replace")
            if not kind[0] & 0x20:  # critical, as its name says
                raise IngestError(
                    f"the image is damaged (checksum of its part {name} is wrong)", remedy="scan or copy it again"
                )
            faults.append(f"a part of the file ({name}) does not fit its checksum")
        place = end + 4
        if kind == b"IEND":
            break
    return faults


def jpeg_faults(raw: bytes) -> list[str]:
    """Decode a JPEG's data strictly, at an eighth of its size, and look for what does not fit."""
    try:
        blocks = _blocks(raw, strict=True)
    except (ValueError, RuntimeError, MemoryError) as error:
        try:
            _blocks(raw, strict=False)
        except (ValueError, RuntimeError, MemoryError):
            return []  # no kind of JPEG that this decoder knows, or none at all: the other one decides
        return [f"damaged JPEG data ({_words(error)})"]
    row = broken_row(blocks, restarts=b"\xff\xdd" in raw[:65536])
    if row is None:
        return []
    return [f"JPEG data may be damaged: the paper's brightness jumps within a row of blocks (row {row})"]


def _blocks(raw: bytes, *, strict: bool) -> NDArray[np.uint8]:
    """(H / 8, W / 8) uint8 means of a JPEG's blocks."""
    import simplejpeg

    small = simplejpeg.decode_jpeg(
        raw, "GRAY", fastdct=True, fastupsample=True, min_height=1, min_width=1, min_factor=8, strict=strict
    )
    return np.asarray(small[..., 0], np.uint8)


def _words(error: Exception) -> str:
    return " ".join(str(error).split()).removeprefix("Corrupt JPEG data: ")[:120] or type(error).__name__


def broken_row(blocks: NDArray[np.uint8], *, restarts: bool = False) -> int | None:
    """The row of blocks in which the paper's level changes from one block to the next, for the rest of the page.

    JPEG codes each block's mean as a difference to the one before: what breaks one shifts all that follow. So the row
    looks like the one above it up to some block, and like the one below from there on, with the same step everywhere.
    The edge of a sheet, however it lies, does not.

    Parameters
    ----------
    blocks : (H, W) uint8
        Mean of each block.
    restarts : bool
        The differences begin anew at some rows: what breaks in the row before shifts the rest of that row alone.
    """
    levels = blocks.astype(np.float32)
    height, width = levels.shape
    for tall in (1, 2):  # colour is coded in squares of two by two blocks
        rows = levels if tall == 1 else levels[: height // 2 * 2].reshape(height // 2, 2, width).max(axis=1)
        if len(rows) < 4 or width < 8:
            return None
        over = np.round(rows[2:] - rows[:-2])
        for k in np.flatnonzero((np.abs(over) >= _STEP).mean(axis=1) >= _SHARE):
            values, counts = np.unique(over[k][np.abs(over[k]) >= _STEP], return_counts=True)
            if _steps_within(rows[k], rows[k + 1], rows[k + 2], float(values[counts.argmax()])):
                return int((k + 1) * tall)
        if restarts and (row := _lone_shift(rows)) is not None:
            return row * tall
    return None


_ENDS = 5
"""Blocks at either end of a row that are paper where the rest of that row alone is shifted."""


def _lone_shift(rows: NDArray[np.float32]) -> int | None:
    """A row whose right end differs from the rows above and below by one step, and whose left end does not."""
    off = rows[1:-1] - (rows[:-2] + rows[2:]) / 2
    calm = np.abs(rows[2:] - rows[:-2]) <= 2 * _ALIKE
    step = np.median(off[:, -_ENDS:], axis=1)
    right = ((np.abs(off - step[:, None]) <= _ALIKE) & calm)[:, -_ENDS:].all(axis=1)
    left = ((np.abs(off) <= _ALIKE) & calm)[:, :_ENDS].all(axis=1)
    found = np.flatnonzero(right & left & (np.abs(step) >= 2 * _STEP))
    return int(found[0]) + 1 if len(found) else None


def _steps_within(
    above: NDArray[np.float32], row: NDArray[np.float32], below: NDArray[np.float32], step: float
) -> bool:
    """Whether the left part of a row has the level of the row above, and the right part that of the row below."""
    alike = min(_ALIKE, 0.45 * abs(step))
    before, after = row - above, below - row
    left = (np.abs(before) <= alike) & (np.abs(after - step) <= alike)
    right = (np.abs(before - step) <= alike) & (np.abs(after) <= alike)
    lefts = np.concatenate([[0], np.cumsum(left)])
    rights = np.concatenate([np.cumsum(right[::-1])[::-1], [0]])
    at = int((lefts + rights).argmax())
    told = lefts[at] + rights[at]
    against = left.sum() + right.sum() - told
    # The blurred edge of a sheet that lies a little askew: the step comes little by little.
    slope = (np.abs(before + after - step) <= alike) & ~left & ~right & (before * step > 0) & (after * step > 0)
    return bool(
        min(lefts[at], rights[at]) >= _FEWEST
        and told >= _SHARE * len(row)
        and against <= _AGAINST * told
        and slope.sum() <= _SLOPE * told
    )


_MARGIN = 24
"""Pixels at the right end of a row that are looked at."""
_JUMP = 6.0
"""Grey levels by which they differ from the rows around."""
_AROUND = 9
"""Rows above and below that say what the margin is like."""


def shifted_row(image: NDArray[np.uint8]) -> int | None:
    """A row whose right end is lighter or darker than those around by the same all along; None where there is none.

    With a predictor each pixel is a difference to the one before: what breaks one shifts the rest of its row. A printed
    line from side to side is dark at its left end too.

    Parameters
    ----------
    image : (H, W) uint8
    """
    height, width = image.shape
    if height < 2 * _AROUND or width < 2 * _MARGIN:
        return None
    rows = np.flatnonzero(_is_off(image[:, -_MARGIN:]) & ~_is_off(image[:, :_MARGIN]))
    return int(rows[0]) if len(rows) else None


def _is_off(ends: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Rows whose pixels all differ by the same from those above and below."""
    levels = ends.astype(np.float32)
    padded = np.pad(levels, ((_AROUND, _AROUND), (0, 0)), mode="reflect")
    usual = np.median(np.stack([padded[k : k + len(levels)] for k in range(0, 2 * _AROUND + 1, 2)]), axis=0)
    off = levels - usual
    middle = np.median(off, axis=1)
    return np.asarray((np.abs(middle) >= _JUMP) & (np.abs(off - middle[:, None]).mean(axis=1) <= _JUMP / 2))
