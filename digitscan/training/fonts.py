"""Digits, letters and marks of free fonts: printed ones, and those drawn after people's handwriting."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from digitscan.core.types import NOT_A_DIGIT
from digitscan.training.sources import Glyph, GlyphSource, tight

_FREE_FONTS = re.compile(
    r"DejaVu|Liberation|Free(Mono|Sans|Serif)|OCR-?[AB]|Lato|Roboto|Carlito|Caladea|Courier ?Prime|lmroman|lmsans"
    r"|lmmono|DSEG|OldStandard|C059|NimbusMono|NimbusRoman|NimbusSans|P052|URWBookman|URWGothic|Junicode"
    r"|LinLibertine|LinBiolinum|EBGaramond|Inconsolata|Humor|ComicNeue|breip|Ecolier|OpenSans|Cabin|GFSDidot"
    r"|Gentium|Cantarell|Hack|STIX|cmr10|cmss10|cmtt10|SteveHand|scratch|JoeHand|Bravofont",
    re.IGNORECASE,
)
"""Families under free licences (OFL, GPL with font exception, Apache, Bitstream Vera, LPPL)."""
_NO_DIGITS = re.compile(
    r"DSEGWeather|DSEG14|DSEG7.*(Mini|GCHAN)|_K\.|OCRB[EX]\.|Hairline|Symbol|Dingbats|MathJax|Italic.*Swash|Initials|Keyboard|Upright(?!.*Roman)",
    re.IGNORECASE,
)


@cache
def hand_fonts() -> frozenset[str]:
    """Names of the handwriting fonts that ``training/hands/package.json`` lists, as npm installs their folders."""
    listed = json.loads((files("digitscan.training") / "hands" / "package.json").read_text(encoding="utf-8"))
    return frozenset(name.rpartition("/")[2] for name in listed["dependencies"])


def _font_folders() -> list[Path]:
    folders = [
        Path("/usr/share/fonts"),
        Path("/usr/share/texmf/fonts"),
        Path("/Library/Fonts"),
        Path("C:/Windows/Fonts"),
        Path.home() / ".local" / "share" / "fonts",
    ]
    try:
        import matplotlib

        folders.append(Path(matplotlib.get_data_path()) / "fonts" / "ttf")
    except ImportError:
        pass
    return [folder for folder in folders if folder.is_dir()]


def find_fonts() -> tuple[list[Path], list[Path]]:
    """Free fonts installed on this machine or carried by matplotlib: printed ones and handwriting, by file name."""
    printed: dict[str, Path] = {}
    hands: dict[str, Path] = {}
    for folder in _font_folders():
        for path in folder.rglob("*"):
            name, suffix = path.name, path.suffix.lower()
            if suffix in (".ttf", ".otf") and _FREE_FONTS.search(name) and not _NO_DIGITS.search(name):
                printed.setdefault(name, path)
            elif suffix == ".woff" and name.endswith("-latin-400-normal.woff"):
                family = name.removesuffix("-latin-400-normal.woff")
                if family in hand_fonts():
                    hands.setdefault(name, path)
    return [printed[name] for name in sorted(printed)], [hands[name] for name in sorted(hands)]


# Letters that a reader of one crop cannot tell from a digit are left out: O o D Q I l | b q g Z z s.
_LETTERS = "ABCEFGHJKLMNPRSTUVWXYacdefhjkmnprtuvwxy" + "äüéñ"
# In handwriting more letters pass for digits.
_HAND_LETTERS = "AEFHKMNPRUVWXafhkmnpruvwx"
_MARKS = ".,;:-=+*#%&?!\"'@€$£<>~^{}[]"


def _render(font_path: Path, text: str, size: int) -> Iterator[tuple[str, Glyph]]:
    from PIL import Image, ImageDraw, ImageFont

    try:
        font = ImageFont.truetype(str(font_path), size)
    except OSError:
        return
    for character in text:
        canvas = Image.new("L", (size * 2, size * 2), 0)
        ImageDraw.Draw(canvas).text((size // 2, size // 4), character, fill=255, font=font)
        glyph = tight(np.asarray(canvas))
        if glyph is not None and glyph.shape[0] > 2:
            yield character, glyph


def _drawn(paths: list[Path], letters: str, size: int) -> dict[str, tuple[list[Glyph], list[int]]]:
    drawn: dict[str, tuple[list[Glyph], list[int]]] = {kind: ([], []) for kind in ("digits", "letters", "marks")}
    for path in paths:
        rendered = list(_render(path, "0123456789", size))
        # A font whose digits are all one shape has none: it shows its "missing" box.
        if len(rendered) < 10 or len({glyph.tobytes() for _, glyph in rendered}) < 10:
            continue
        for character, glyph in rendered:
            drawn["digits"][0].append(glyph)
            drawn["digits"][1].append(int(character))
        for kind, text in (("letters", letters), ("marks", _MARKS)):
            if "DSEG" in path.name:  # seven-segment letters are digits to the eye
                continue
            for _, glyph in _render(path, text, size):
                drawn[kind][0].append(glyph)
                drawn[kind][1].append(NOT_A_DIGIT)
    return drawn


def font_sources(size: int = 56) -> list[GlyphSource]:
    """Digits, letters and marks of every free font found: of printed ones, then of handwriting.

    Six sources, empty where there are no such fonts.
    """
    printed, hands = find_fonts()
    sources = []
    for prefix, paths, letters, weight in (
        ("fonts", printed, _LETTERS, 0.30),
        ("hands", hands, _HAND_LETTERS, 0.10),
    ):
        for kind, (glyphs, labels) in _drawn(paths, letters, size).items():
            share = weight if kind == "digits" else 0.0
            sources.append(
                GlyphSource(f"{prefix}-{kind}", glyphs, np.array(labels, np.uint8), share, printed=prefix == "fonts")
            )
    return sources
