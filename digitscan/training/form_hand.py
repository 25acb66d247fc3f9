"""A hand or a printer that fills forms, at the size of a page."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digitscan.training.drawing import GlyphBank, SheetStyle, draw_digit, trim
from digitscan.training.sources import GlyphSource

Rng = np.random.Generator
Canvas = NDArray[np.float32]

_DRAWN_SHARE = 0.15
"""Share of the hands, beyond what their weight gives them, that write the shapes which public sets hold few of."""


class Hand:
    """How one writer, or one printer, makes each digit."""

    def __init__(self, bank: GlyphBank, rng: Rng) -> None:
        self._bank = bank
        self.source: GlyphSource | None = None
        drawn = [source for source in bank.digits if source.name == "drawn-digits"]
        if drawn and rng.random() < _DRAWN_SHARE:
            self.source = drawn[0]
        elif rng.random() < 0.75:
            self.source = bank.digits[int(rng.choice(len(bank.digits), p=bank.shares))]
        self._font: int | None = None
        if self.source is not None and self.source.name.startswith(("fonts", "hands")):
            self._font = 10 * int(rng.integers(len(self.source.glyphs) // 10))
        written = not self.printed
        self._tails = float(rng.uniform(1.1, 1.5)) if written and rng.random() < 0.35 else 1.0
        self._head = float(rng.uniform(1.15, 1.6)) if written and rng.random() < 0.15 else 1.0
        self._zeros = float(rng.uniform(0.45, 0.9)) if written and rng.random() < 0.25 else 1.0

    @property
    def printed(self) -> bool:
        """Whether it is print."""
        return self.source is not None and self.source.printed

    def size(self, digit: int, first: bool) -> tuple[float, float]:
        """Height of a digit, and of its foot above the line: some let the tails of 1, 4, 7 and 9 hang, write the
        first digit large, or zeros small."""
        height = self._head if first else self._zeros if digit == 0 else 1.0
        if digit in (1, 4, 7, 9) and self._tails > 1:
            return height * self._tails, -height * (self._tails - 1)
        return height, 0.0

    def draw(self, digit: int, style: SheetStyle, rng: Rng) -> Canvas:
        """Ink of one digit, tight."""
        source = self.source
        if source is not None and not (source.labels == digit).any():  # some sets have no zeros
            source = None
        if source is not None and self._font is not None:  # a font's ten digits follow each other
            row = self._font + digit
            glyph = source.glyphs[row : row + 1]
            source = GlyphSource(source.name, glyph, source.labels[row : row + 1], 1.0, source.aspect, source.printed)
        stroke = draw_digit(self._bank, style, rng, digit, source)
        while stroke.label != digit:
            stroke = draw_digit(self._bank, style, rng, digit)
        return trim(stroke.ink)
