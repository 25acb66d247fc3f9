"""Free fonts on this machine: printed ones, and those drawn after people's handwriting."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

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
