"""What stands in lines of numbers: amounts, counts, dates and codes as people of many countries write them.

A text is what is drawn, character by character; `told` says what of it the network is to tell. Characters that are no
part of `digitscan.recognition.lines.ALPHABET`, such as letters, brackets and most signs of currency, read as nothing.
"""

from __future__ import annotations

import numpy as np

from digitscan.core.types import STRUCK_OUT
from digitscan.recognition.lines import ALPHABET

Rng = np.random.Generator

SPOILT = "█"
"""A digit that is struck out; those side by side are told as one `STRUCK_OUT`."""
RAISED_POINT = "·"
"""A point at half height."""
LONG_DASH = "—"
"""A dash as long as two digits."""
HALF = "½"
"""One half as one sign: told as a slash, since its small digits are no digits of the number."""
_TOLD = {RAISED_POINT: ".", LONG_DASH: "-", HALF: "/", SPOILT: STRUCK_OUT}
_KEPT = frozenset(ALPHABET) - {STRUCK_OUT}

WORDS = (
    "Total", "Sum", "Date", "No", "Nr", "Amount", "Balance", "paid", "Mean", "Page", "Name", "due", "cash", "only",
    "Roll", "Class", "Marks", "per", "cent", "kg", "cm", "ml", "Stück", "Summe", "Betrag", "Datum", "Fr", "Rs", "EUR",
    "CHF", "USD", "Kto", "BLZ", "von", "bis", "and", "the", "of", "thousand", "hundred", "million", "lakh", "zero",
    "Monday", "June", "Sept", "oil", "well", "bill", "Sol", "Ill", "good", "zool", "Bob", "loss", "Sizes", "Ass", "Gis",
)  # fmt: skip
_LETTERS = "abcdefghijklmnopqrstuvwxyzaeinorstleaABCDEFGHIJKLMNOPQRSTUVWXYZ"
GRADES = "ABCDEFABCKMNPRX"
"""Letters that stand alone in a column of grades."""


def told(text: str) -> str:
    """What the network is to tell of a text that is drawn, in `ALPHABET`."""
    kept = "".join(_TOLD.get(c, c if c in _KEPT else "") for c in text)
    while 2 * STRUCK_OUT in kept:
        kept = kept.replace(2 * STRUCK_OUT, STRUCK_OUT)
    return kept


def random_word(rng: Rng) -> str:
    """A word, or letters that follow each other by chance, in any case."""
    if rng.random() < 0.5:
        word = str(rng.choice(WORDS))
    else:
        word = "".join(_LETTERS[k] for k in rng.integers(len(_LETTERS), size=int(rng.integers(2, 9))))
        word = word if rng.random() < 0.3 else word.lower()
    style = rng.random()
    return word.upper() if style < 0.25 else word.lower() if style < 0.45 else word


def random_digits(rng: Rng, count: int) -> str:
    """Digits at random; at times but two or three kinds of them, zeros and ones above all."""
    if rng.random() < 0.25:
        few = rng.choice(10, size=int(rng.integers(1, 4)), p=_OFTEN)
        return "".join(str(d) for d in rng.choice(few, size=count))
    return "".join(str(d) for d in rng.integers(0, 10, count))


_OFTEN = np.array([3.0, 3.5, 1.0, 1.0, 1.2, 1.0, 1.0, 1.5, 1.0, 1.5]) / 15.7


def random_text(rng: Rng) -> str:
    """A number as it may stand in a box, a cell or a field, with the signs that people put in and around it."""
    kind = rng.random()
    for share, make in _KINDS:
        if kind < share:
            return make(rng)
        kind -= share
    return _count(rng)


def _count(rng: Rng) -> str:
    length = 1 + int(np.searchsorted(_LENGTHS, rng.random()))
    if rng.random() < 0.02:
        length = int(rng.integers(10, 17))
    return random_digits(rng, length)


_LENGTHS = np.array([0.12, 0.21, 0.20, 0.15, 0.11, 0.10, 0.04, 0.04, 0.03]).cumsum()


def _whole(rng: Rng) -> str:
    """Digits of an amount: many end in zeros."""
    if rng.random() < 0.45:
        return str(rng.integers(1, 10)) + random_digits(rng, int(rng.integers(0, 3))) + "0" * int(rng.integers(1, 6))
    return str(rng.integers(1, 10)) + random_digits(rng, int(rng.integers(0, 7)))


def _grouped(digits: str, sign: str, *, lakh: bool = False) -> str:
    head, parts = digits, []
    width = 3
    while len(head) > width:
        parts.append(head[-width:])
        head = head[:-width]
        width = 2 if lakh else 3
    return sign.join([head, *reversed(parts)])


def _fenced(text: str, rng: Rng) -> str:
    """An amount with what its writer puts after it, so that nothing can be added, and before it."""
    if rng.random() < 0.45:
        text += _ENDINGS[int(np.searchsorted(_ENDING_SHARES, rng.random()))]
    if rng.random() < 0.22:
        text = str(rng.choice(_BEGINNINGS)) + text
    return text


_ENDINGS = (".-", ",-", "/-", "-", "--", "=", ".=", "." + LONG_DASH, LONG_DASH, "#", "*", "**", ".", "/=", ",", ",--",
            " €", " Fr", " kr", "/", " Rs", "-/")  # fmt: skip
_ENDING_SHARES = np.array([9, 7, 14, 7, 3, 7, 5, 5, 5, 5, 4, 2, 8, 3, 2, 2, 1.5, 1.5, 1.5, 2, 1, 1]).cumsum() / 96.5
_BEGINNINGS = ("$", "$ ", "*", "**", "-", "=", "#", "₹", "₹ ", "Rs.", "Rs ", "€", "€ ", "£", "£", "+", "Fr.", "CHF ",
               "EUR ", "US$", "***", "~", "¥", "kr ")  # fmt: skip


def _amount(rng: Rng) -> str:
    """A round amount, in groups of three."""
    digits = _whole(rng)
    sign = str(rng.choice([".", ".", ",", RAISED_POINT, "'", " ", ""]))
    return _fenced(_grouped(digits, sign), rng)


def _with_cents(rng: Rng) -> str:
    group, point = _SEPARATORS[int(rng.integers(len(_SEPARATORS)))]
    digits = _whole(rng)
    if len(digits) <= 4 and rng.random() < 0.5:
        group = ""
    cents = f"{rng.integers(0, 100):02d}" if rng.random() < 0.7 else str(rng.choice(["00", "00", "50", "90"]))
    return _fenced(_grouped(digits, group) + point + cents, rng)


_SEPARATORS = ((".", ","), (",", "."), ("'", "."), (" ", ","), (" ", "."), ("", "."), ("", ","), ("", "-"),
               ("", RAISED_POINT), (",", RAISED_POINT))  # fmt: skip


def _lakh(rng: Rng) -> str:
    digits = str(rng.integers(1, 10)) + random_digits(rng, int(rng.integers(4, 9)))
    if rng.random() < 0.6:
        keep = int(rng.integers(1, 4))
        digits = digits[:keep] + "0" * (len(digits) - keep)
    text = _grouped(digits, "," if rng.random() < 0.85 else ".", lakh=True)
    if rng.random() < 0.6:
        text += str(rng.choice(["/-", "/-", "/-", "/" + LONG_DASH, "/=", "-", ".00", "/"]))
    return (str(rng.choice(["₹", "₹ ", "Rs.", "Rs "])) if rng.random() < 0.3 else "") + text


def _decimal(rng: Rng) -> str:
    point = str(rng.choice([".", ".", ",", RAISED_POINT, RAISED_POINT]))
    text = str(rng.integers(0, 10 ** int(rng.integers(1, 4)))) + point
    text += random_digits(rng, int(rng.integers(1, 4)))
    return ("-" if rng.random() < 0.1 else "") + text


def _date(rng: Rng) -> str:
    if rng.random() < 0.2:
        return f"{rng.integers(0, 24)}:{rng.integers(0, 60):02d}"
    day, month = str(rng.integers(1, 32)), str(rng.integers(1, 13))
    if rng.random() < 0.5:
        day, month = day.zfill(2), month.zfill(2)
    year = str(rng.integers(1900, 2060)) if rng.random() < 0.6 else f"{rng.integers(0, 100):02d}"
    parts = [year, month, day] if rng.random() < 0.15 else [day, month, year]
    return str(rng.choice(["/", "-", ".", ". ", " / ", "/"])).join(parts)


def _code(rng: Rng) -> str:
    """Telephone, account and serial numbers: groups with spaces or dashes."""
    sign = str(rng.choice([" ", "-", "/", " ", "."]))
    return sign.join(random_digits(rng, int(rng.integers(2, 5))) for _ in range(int(rng.integers(2, 5))))


def _mark(rng: Rng) -> str:
    text = str(rng.integers(0, 101))
    end = rng.random()
    if end < 0.12:
        return text + "+"
    if end < 0.24:
        return text + "-"
    if end < 0.4:
        return f"{text}/{rng.choice(['10', '20', '50', '100'])}"
    return text + "%" if end < 0.6 else text


def _half(rng: Rng) -> str:
    return str(rng.integers(0, 200)) + HALF


def _signed(rng: Rng) -> str:
    text = _count(rng) if rng.random() < 0.4 else _decimal(rng)
    return f"({text})" if rng.random() < 0.4 else str(rng.choice(["-", "-", "- ", "+", LONG_DASH])) + text


def _labelled(rng: Rng) -> str:
    text = _count(rng) if rng.random() < 0.5 else _with_cents(rng)
    word = random_word(rng)
    gap = " " * int(rng.integers(1, 4))
    if rng.random() < 0.6:
        return f"{word}{rng.choice(['', '', ':', '.'])}{gap}{text}".replace(":", "" if rng.random() < 0.5 else ":")
    return f"{text}{gap}{word}"


_KINDS = ((0.27, _count), (0.17, _amount), (0.15, _with_cents), (0.06, _lakh), (0.13, _decimal), (0.06, _date),
          (0.03, _code), (0.04, _mark), (0.01, _half), (0.03, _signed), (0.025, _labelled))  # fmt: skip


def spoil(text: str, rng: Rng) -> str:
    """Put `SPOILT` in place of a digit of a text, of a few that follow each other, or of all."""
    places = [k for k, character in enumerate(text) if character.isdecimal()]
    draw = rng.random()
    count = 1 if draw < 0.7 else int(rng.integers(2, 4)) if draw < 0.9 else len(places)
    start = int(rng.integers(max(len(places) - count, 0) + 1))
    spoilt = set(places[start : start + count])
    return "".join(SPOILT if k in spoilt else character for k, character in enumerate(text))
