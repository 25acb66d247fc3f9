"""The line at a cheque's foot: the shapes of E-13B, the pitch of its characters, and what its fields are.

Shapes, sizes and the meaning of positions are those of ANSI X9.100-20 (formerly X9.27) and ISO 1004-1. Everything is
built on a module of 0.013 inch: characters are 9 modules high and up to 7 wide, strokes are 1 or 2 modules thick,
corners are rounded, and one character follows the other every 0.125 inch.
"""

from __future__ import annotations

from typing import NamedTuple

MODULE_INCH = 0.013
PITCH_INCH = 0.125
PITCH = PITCH_INCH / MODULE_INCH
"""From place to place, in modules."""
HEIGHT, WIDTH = 9, 7
"""Of a character, in modules; narrower ones stand at the right of their place."""
TRANSIT, AMOUNT, ON_US, DASH = "⑆⑇⑈⑉"
"""The four symbols as Unicode has them, U+2446 to U+2449."""
SYMBOLS = "0123456789" + TRANSIT + AMOUNT + ON_US + DASH
TRANSIT_POSITION = 43
"""Place of the left transit symbol on cheques of the United States, counted from 1 at the right (ANSI X9.100-160)."""
RIGHT_EDGE_INCH = 0.3125
"""From the right end of the cheque to the right end of place 1."""

BASE_INCH = 0.25
"""From the lower edge of the cheque to the foot of its characters."""


def inches_from_right(place: int) -> float:
    """From the right end of a cheque to the right end of a place, which is counted from 1 at the right."""
    return RIGHT_EDGE_INCH + (place - 1) * PITCH_INCH


Rectangle = tuple[float, float, float, float]


class Glyph(NamedTuple):
    """A character: rectangles of ink (left, bottom, right, top) in modules, and rectangles of paper inside them."""

    ink: tuple[Rectangle, ...]
    paper: tuple[Rectangle, ...] = ()
    outline: tuple[tuple[float, float], ...] = ()
    """Of the one character, 7, that has a slanted stroke: its corners (x, y)."""


GLYPHS = {
    "0": Glyph(((0, 0, 7, 9),), ((1, 1, 6, 8),)),
    "1": Glyph(((3, 0, 7, 4), (4, 3, 5, 9), (3, 7.5, 5, 9))),
    "2": Glyph(((3, 8, 7, 9), (6, 4, 7, 9), (3, 4, 7, 5), (3, 0, 4, 5), (3, 0, 7, 1))),
    "3": Glyph(((2, 8, 6, 9), (5, 4, 6, 9), (2, 4, 6, 5), (5, 0, 7, 4.5), (2, 0, 7, 1))),
    "4": Glyph(((1, 2, 3, 9), (1, 2, 6, 3), (5, 0, 7, 4))),
    "5": Glyph(((2, 8, 7, 9), (2, 4, 3, 9), (2, 4, 7, 5), (6, 0, 7, 5), (2, 0, 7, 1))),
    "6": Glyph(((1, 0, 2, 9), (1, 8, 5, 9), (4, 6.5, 5, 9), (1, 3, 7, 4), (6, 0, 7, 4), (1, 0, 7, 1))),
    "7": Glyph(
        (), (), ((4, 0), (5, 0), (5, 4.2), (7, 5), (7, 9), (2, 9), (2, 6), (3, 6), (3, 8), (6, 8), (6, 5.7), (4, 4.9))
    ),
    "8": Glyph(((0, 0, 7, 4.5), (1, 4, 6, 9)), ((2, 1, 5, 4), (2, 5, 5, 8))),
    "9": Glyph(((1, 4, 7, 9), (5, 0, 7, 5)), ((2, 5, 6, 8),)),
    TRANSIT: Glyph(((0, 1.5, 2, 7.5), (4, 0, 7, 3), (4, 6, 7, 9))),
    AMOUNT: Glyph(((0, 0, 2, 4), (3, 2.25, 4, 6.75), (5, 5, 7, 9))),
    ON_US: Glyph(((0, 1.5, 1, 7.5), (2, 1.5, 3, 7.5), (4, 4.5, 7, 8.5))),
    DASH: Glyph(((0, 2.5, 2, 6.5), (3, 2.5, 5, 6.5), (6, 2.5, 7, 6.5))),
}
"""The ten digits and four symbols. Lower left corner of a place is (0, 0), y goes up."""

Part = tuple[int, int]


def parts_of_line(text: str) -> dict[str, Part]:
    """Where the fields of a line stand: first character and the one after the last.

    Parameters
    ----------
    text : str
        Of `SYMBOLS` and spaces, as it stands on the cheque.

    Returns
    -------
    dict
        ``line`` is all of it. Where the symbols allow: ``transit`` (the bank), ``account``, ``serial`` (the cheque's
        number: left of the bank on business cheques, right of the account on personal ones), ``amount``.
    """
    parts: dict[str, Part] = {"line": (0, len(text))}
    first = text.find(TRANSIT)
    second = text.find(TRANSIT, first + 1)
    if first < 0 or second < 0:
        return parts
    parts["transit"] = first + 1, second
    end = text.find(AMOUNT, second)
    stop = text.find(AMOUNT, end + 1) if end >= 0 else -1
    if stop >= 0:
        parts["amount"] = end + 1, stop
    left = text.find(ON_US)
    right = text.find(ON_US, left + 1)
    if 0 <= left < right < first:
        parts["serial"] = left + 1, right
    end = end if end >= 0 else len(text)
    mark = text.find(ON_US, second, end)
    if mark >= 0:
        parts["account"] = second + 1, mark
        if "serial" not in parts and text[mark + 1 : end].strip():
            parts["serial"] = mark + 1, end
    return parts
