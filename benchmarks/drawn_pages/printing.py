"""Print: fonts whose digits are those of books and forms, and words set in them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digitscan.training.fonts import find_fonts

from .truth import Canvas, Rng

_FINER = 4
"""Print is set at so many times its size and reduced: a scanner averages, it does not hint."""


@cache
def printed_fonts() -> tuple[Path, ...]:
    """Free fonts of this machine whose digits are those of books and forms, in order of their file names."""
    own = (p for p in find_fonts()[0] if not any(s in p.name for s in ("Siz", "NonUni", "Display", "DSEG", "Math")))
    return tuple(p for p in own if 50 < -_face(p, 100).getbbox("0", anchor="ls")[1] < 100)


def pick_font(rng: Rng, like: str = "") -> Path:
    """A printed font at random; of those whose name holds `like` where there are any."""
    fonts = printed_fonts()
    wanted = [p for p in fonts if like.lower() in p.name.lower()] or list(fonts)
    return wanted[int(rng.integers(len(wanted)))]


@cache
def _face(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size)


def set_text(text: str, font: Path, size: float, over: int) -> Canvas:
    """Print at `size` pixels a digit's height on a canvas `over` times finer: (h, w) float32 ink 0 to 1, tight."""
    fine = _FINER * over
    # A digit is about 0.72 of the nominal size high, whatever the font.
    probe = _face(font, 100).getbbox("0", anchor="ls")
    face = _face(font, max(4, round(100 * size * fine / max(1, -probe[1]))))
    left, top, right, bottom = (int(v) for v in face.getbbox(text, anchor="ls"))
    w, h = max(1, right - left), max(1, bottom - top)
    image = Image.new("L", (w + 2 * fine, h + 2 * fine), 0)
    ImageDraw.Draw(image).text((fine - left, fine - top), text, fill=255, font=face, anchor="ls")
    large = np.asarray(image, np.float32) / 255
    rows, columns = (max(1, round(side / _FINER)) for side in large.shape)
    return np.asarray(cv2.resize(large, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def text_size(text: str, font: Path, size: float) -> tuple[float, float]:
    """Width of print, and how far it hangs below its line, in units of `size`'s pixel."""
    face = _face(font, 100)
    scale = size / max(1, -face.getbbox("0", anchor="ls")[1])
    left, _, right, bottom = face.getbbox(text, anchor="ls")
    return (right - left) * scale, bottom * scale
