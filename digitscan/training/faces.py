"""Print as it stands in lines: fonts with their own spacing and base line, dot matrix, seven segments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import NOT_A_DIGIT
from digitscan.training.fonts import find_fonts
from digitscan.training.sources import GlyphSource

EM = 44
"""Size in pixels that fonts are rendered at: digits are about 31 high."""
_CHARACTERS = "0123456789.,-=/:*$ '()%+#½€£¥₹—·\"?&ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyzäüßéñ;!@<>~^{}[]"
_TYPEWRITER = re.compile(r"Courier|NimbusMono|FreeMono|lmmono|LiberationMono|cmtt|SteveHand|OldStandard", re.IGNORECASE)


class Letter(NamedTuple):
    """One character of a face: its tight ink (h, w) uint8, or None for a space, and where it stands.

    `left` and `top` are pixels from the pen's place on the base line to the ink, `advance` how far the pen moves on.
    """

    ink: NDArray[np.uint8] | None
    left: int
    top: int
    advance: float


class Face(NamedTuple):
    """A font at `EM`: its characters, the height of its digits in pixels, and whether typewriters print so."""

    name: str
    letters: Mapping[str, Letter]
    height: int
    typed: bool = False
    hand: bool = False

    def has(self, text: str) -> bool:
        """Whether it has every character of a text."""
        return all(character in self.letters for character in text)


def render(path: Path, *, hand: bool = False) -> Face | None:
    """Draw a font's characters at `EM`; None where it cannot be read, or its digits are all one shape."""
    from PIL import Image, ImageDraw, ImageFont

    try:
        font = ImageFont.truetype(str(path), EM)
        missing = font.getmask("\U0010fffe").getbbox(), bytes(font.getmask("\U0010fffe"))
    except (OSError, ValueError):
        return None
    letters: dict[str, Letter] = {}
    seven = "DSEG" in path.name
    for character in "0123456789.-: " if seven else _CHARACTERS:
        mask = font.getmask(character)
        box = mask.getbbox()
        if box is None:
            if character == " ":
                letters[character] = Letter(None, 0, 0, float(font.getlength(character)))
            continue
        if (box, bytes(mask)) == missing:
            continue
        canvas = Image.new("L", (4 * EM, 3 * EM), 0)
        ImageDraw.Draw(canvas).text((EM, 2 * EM), character, fill=255, font=font, anchor="ls")
        ink = np.asarray(canvas)
        x, y, w, h = cv2.boundingRect((ink > 32).view(np.uint8))
        if w:
            part = np.ascontiguousarray(ink[y : y + h, x : x + w])
            letters[character] = Letter(part, x - EM, y - 2 * EM, float(font.getlength(character)))
    digits = [letters[c].ink for c in "0123456789" if c in letters]
    shapes = {ink.tobytes() for ink in digits if ink is not None}
    if len(shapes) < 10:  # all one shape: the sign for a missing one
        return None
    height = int(np.median([ink.shape[0] for ink in digits if ink is not None]))
    if height < 10:
        return None
    return Face(path.stem, letters, height, bool(_TYPEWRITER.search(path.name)), hand)


_MATRIX = {
    "0": "0E11131519110E", "1": "040C040404040E", "2": "0E11010204081F", "3": "1F02040201110E", "4": "02060A121F0202",
    "5": "1F101E0101110E", "6": "0608101E11110E", "7": "1F010204080808", "8": "0E11110E11110E", "9": "0E11110F01020C",
    ".": "00000000000C0C", ",": "000000000C0408", "-": "0000001F000000", "=": "00001F001F0000", "/": "00010204081000",
    ":": "000C0C000C0C00", "*": "0004150E150400", "$": "040F140E051E04", "+": "0004041F040400", "(": "02040808080402",
    ")": "08040202020408", "%": "18190204081303", "A": "0E11111F111111", "B": "1E11111E11111E", "E": "1F10101E10101F",
    "T": "1F040404040404", "O": "0E11111111110E", "L": "1010101010101F", "S": "0F10100E01011E", "R": "1E11111E141211",
    "N": "11111915131111", "D": "1C12111111121C", "C": "0E11101010110E", "I": "0E04040404040E", "K": "11121418141211",
}  # fmt: skip
"""Five columns by seven rows, a byte a row: the usual generator of characters."""


def matrix_faces() -> list[Face]:
    """Dot matrix print: small and large dots, close together and apart; slashed zeros among them."""
    faces = []
    for pitch, radius, slashed in ((5, 2.0, True), (5, 2.6, False), (6, 2.2, False), (5, 3.2, True), (4, 2.2, False)):
        letters: dict[str, Letter] = {" ": Letter(None, 0, 0, 6.0 * pitch)}
        for character, code in _MATRIX.items():
            rows = bytes.fromhex("0E11111111110E" if character == "0" and not slashed else code)
            canvas = np.zeros((pitch * 8 + 4, pitch * 6 + 4), np.uint8)
            for y, bits in enumerate(rows):
                for x in range(5):
                    if bits >> (4 - x) & 1:
                        place = (int(16 * (4 + x * pitch)), int(16 * (4 + y * pitch)))
                        cv2.circle(canvas, place, int(16 * radius), 255, -1, cv2.LINE_AA, 4)
            x, y, w, h = cv2.boundingRect((canvas > 32).view(np.uint8))
            part = np.ascontiguousarray(canvas[y : y + h, x : x + w])
            letters[character] = Letter(part, x - 4, y - 4 - 6 * pitch - round(radius), 6.0 * pitch)
        faces.append(Face(f"matrix-{pitch}-{radius}", letters, round(6 * pitch + 2 * radius)))
    return faces


def load_faces() -> list[Face]:
    """Every free font that is found, printed and handwriting, and dot matrix."""
    printed, hands = find_fonts()
    faces = [face for path in printed if (face := render(path)) is not None]
    faces += [face for path in hands if (face := render(path, hand=True)) is not None]
    return [*faces, *matrix_faces()]


def set_text(
    face: Face,
    text: str,
    rng: np.random.Generator,
    *,
    spacing: float = 0.0,
    jitter: float = 0.0,
    uneven: float = 0.0,
) -> tuple[NDArray[np.uint8], int]:
    """Print a text; characters that the face lacks are left out.

    Parameters
    ----------
    face : Face
    text : str
    rng : Generator
    spacing : float
        Added to each character's advance, in ems.
    jitter : float
        How far characters stand off the base line and off their place, in ems.
    uneven : float
        How much fainter some characters are than others, 0 to 1.

    Returns
    -------
    ink : (H, W) uint8
        Not tight.
    base : int
        Row of the base line.
    """
    placed: list[tuple[int, int, NDArray[np.uint8]]] = []
    pen = float(EM) / 2
    right = EM
    base = int(1.6 * EM)
    for character in text:
        letter = face.letters.get(character)
        if letter is None:
            continue
        if letter.ink is not None:
            dx, dy = rng.normal(0, jitter * EM, 2) if jitter else (0.0, 0.0)
            x, y = max(round(pen + letter.left + dx), 0), max(round(base + letter.top + dy), 0)
            ink = letter.ink
            if uneven:
                ink = cv2.convertScaleAbs(ink, alpha=float(1 - uneven * rng.random()))
            placed.append((x, y, ink))
            right = max(right, x + ink.shape[1])
        pen += max(letter.advance + spacing * EM, 1.0)
    canvas = np.zeros((int(2.4 * EM), right + EM // 2), np.uint8)
    for x, y, ink in placed:
        region = canvas[y : y + ink.shape[0], x : x + ink.shape[1]]
        cv2.max(region, ink[: region.shape[0], : region.shape[1]], dst=region)
    return canvas, base


def by_kind(faces: Sequence[Face]) -> tuple[list[Face], list[Face]]:
    """Faces that print, and those that are drawn after handwriting."""
    return [face for face in faces if not face.hand], [face for face in faces if face.hand]


# Letters that a reader of one crop cannot tell from a digit are left out: O o D Q I l | b q g Z z s.
_LETTERS = "ABCEFGHJKLMNPRSTUVWXYacdefhjkmnprtuvwxy" + "äüéñ"
# In handwriting more letters pass for digits.
_HAND_LETTERS = "AEFHKMNPRUVWXafhkmnpruvwx"
_MARKS = ".,;:-=+*#%&?!\"'@€$£<>~^{}[]"


def font_sources(faces: Sequence[Face]) -> list[GlyphSource]:
    """Digits, letters and marks of faces, as single glyphs: of printed ones, then of handwriting.

    Six sources, empty where there are no such faces. A face's ten digits follow each other.
    """
    sources = []
    for prefix, own, letters, weight in (
        ("fonts", by_kind(faces)[0], _LETTERS, 0.30),
        ("hands", by_kind(faces)[1], _HAND_LETTERS, 0.10),
    ):
        for kind, text in (("digits", "0123456789"), ("letters", letters), ("marks", _MARKS)):
            glyphs, labels = [], []
            for face in own:
                if kind != "digits" and "DSEG" in face.name:  # seven-segment letters are digits to the eye
                    continue
                found = [(c, letter.ink) for c in text if (letter := face.letters.get(c)) is not None]
                if kind == "digits" and len(found) < 10:
                    continue
                for character, ink in found:
                    if ink is not None and ink.shape[0] > 2:
                        glyphs.append(ink)
                        labels.append(int(character) if kind == "digits" else NOT_A_DIGIT)
            share = weight if kind == "digits" else 0.0
            name = f"{prefix}-{kind}"
            sources.append(GlyphSource(name, glyphs, np.array(labels, np.uint8), share, printed=prefix == "fonts"))
    return sources
