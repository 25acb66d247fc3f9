"""The values that pass between stages.

Arrays name their polarity: ``image`` has white paper (255), ``ink`` is high where ink is. Boxes given to
the user are in SOURCE pixels: those of the page as an image viewer shows it, EXIF orientation applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

GrayImage: TypeAlias = NDArray[np.uint8]
"""(H, W) uint8, paper is white (255)."""
Ink: TypeAlias = NDArray[np.uint8]
"""(H, W) uint8, 0 is paper, 255 is full ink."""
Mask: TypeAlias = NDArray[np.bool_]
"""(H, W) bool, True is ink."""
Transform: TypeAlias = NDArray[np.float64]
"""(3, 3) float64 homography."""
Crops: TypeAlias = NDArray[np.uint8]
"""(N, 28, 28) uint8, normalized digits, 0 is paper, 255 is full ink; scaled to 0..1 when classified."""
Posteriors: TypeAlias = NDArray[np.float32]
"""(N, K) float32, rows sum to 1; columns 0-9 are the digits, column 10 is not-a-digit."""

SIGNS = ".,-=/:*$"
"""What a number may hold beside digits: points, commas, dashes and the signs that people put around amounts."""
STRUCK_OUT = "#"
"""Stands in a line for digits that their writer made unreadable."""
CROP_SIZE = 28
"""Side of a normalized crop in pixels."""
NOT_A_DIGIT = 10
"""Column of the posteriors that means: this is no digit."""
CLASS_COUNT = 11
"""Columns of the posteriors."""


class Box(NamedTuple):
    """An upright rectangle in pixels: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column to the right of the box."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row below the box."""
        return self.y + self.height

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of the middle."""
        return self.x + self.width / 2, self.y + self.height / 2

    def holds(self, point: tuple[float, float]) -> bool:
        """Whether a point (x, y) lies inside."""
        return self.x <= point[0] < self.right and self.y <= point[1] < self.bottom


class State(StrEnum):
    """What a reading is."""

    VALUE = "value"
    BLANK = "blank"
    STRUCK = "struck"
    ILLEGIBLE = "illegible"
    INVALID = "invalid"
    MISSING = "missing"


class Layout(StrEnum):
    """How the strings of an image are arranged."""

    AUTO = "auto"
    """A page; a table where ruling lines form one."""
    PAGE = "page"
    """Scattered strings."""
    LINE = "line"
    """The whole image is ONE string."""
    DIGIT = "digit"
    """The whole image is ONE digit."""
    TABLE = "table"
    """Rows and columns, ruled or aligned."""


@dataclass(frozen=True, slots=True)
class PageRef:
    """Where a page comes from.

    Attributes
    ----------
    path : str
        The source file, as the user named it.
    page_index : int
        0-based position in the file.
    sha256 : str
        Hash of the whole source file, lower-case hexadecimal.
    """

    path: str
    page_index: int = 0
    sha256: str = ""

    @property
    def page_number(self) -> int:
        """1-based, for people."""
        return self.page_index + 1


@dataclass(frozen=True, slots=True, eq=False)
class RasterPage:
    """One decoded page.

    Attributes
    ----------
    ref : PageRef
        Where it comes from.
    image : (H, W) uint8
        Paper is white. These pixels are the SOURCE pixels.
    dpi : float or None
        Resolution the file declares, None where it declares none or a silly one.
    """

    ref: PageRef
    image: GrayImage
    dpi: float | None = None
    warnings: tuple[str, ...] = ()
    """What its decoder found wrong with the data: the page may not show what was scanned."""


@dataclass(frozen=True, slots=True, eq=False)
class BinaryPage:
    """A page with its ink found and its geometry straightened.

    Attributes
    ----------
    ref : PageRef
        Where it comes from.
    ink : (H, W) uint8
        Soft ink: contrast against the local paper, 0 paper … 255 full ink.
    mask : (H, W) bool
        Ink pixels; printed rules and boxes are already gone.
    ruled : (H, W) bool
        Ink pixels, printed rules and boxes and all.
    skew_degrees : float
        Angle by which the source was turned (positive: counter-clockwise as seen) to stand straight.
    to_source : (3, 3) float64
        Maps (x, y, 1) of this page to source pixels.
    """

    ref: PageRef
    ink: Ink
    mask: Mask
    ruled: Mask
    skew_degrees: float
    to_source: Transform


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One hypothesis of a digit.

    Attributes
    ----------
    box : Box
        In pixels of the binary page.
    ink : (h, w) uint8
        Soft ink of this hypothesis alone; neighbours are blanked.
    string_index : int
        The string on its page that it belongs to.
    span : (int, int)
        First and last cut it lies between: pieces ``span[0]`` to ``span[1] - 1``.
    """

    box: Box
    ink: Ink
    string_index: int
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class DigitReading:
    """One digit as read; `box` in source pixels; `margin` is confidence minus the runner-up's."""

    box: Box
    digit: str
    confidence: float
    runner_up: str
    margin: float


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another text that the same ink could be."""

    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class FieldReading:
    """One string as read.

    Attributes
    ----------
    name : str
        The field's name; ``s1``, ``s2``, … in reading order where no template names it.
    row, column : int or None
        1-based cell of a table, None elsewhere.
    text : str
        Never a number: leading zeros stay.
    digits : tuple of DigitReading
        Left to right.
    confidence : float
        Probability, 0 to 1, that the whole `text` is right.
    state : State
        What the reading is.
    review : bool
        A person should look.
    reason : str
        Why they should, or which rule decided; empty when there is nothing to say.
    alternatives : tuple of Alternative
        Rival texts, most probable first, without `text` itself.
    box : Box
        In source pixels.
    written : str
        The text with its points, commas, dashes and signs as they stand on paper; empty where they were not read.
    """

    name: str
    row: int | None
    column: int | None
    text: str
    digits: tuple[DigitReading, ...]
    confidence: float
    state: State
    review: bool
    reason: str
    alternatives: tuple[Alternative, ...]
    box: Box
    written: str = ""
    raw: str = ""
    """What the ink alone says, where a rule of the form chose another text; empty elsewhere."""
    table: str = ""
    """Name of the form's grid whose cell it is; empty elsewhere."""
    value: str = ""
    """The number that the text means where the form declares its decimals: ``40.50``; empty elsewhere."""


@dataclass(frozen=True, slots=True)
class FormMatch:
    """Which form a page is filled from; `page` is 1-based, `quality` the share of the blank's ink found, 0 to 1."""

    name: str
    page: int
    quality: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What the scan itself is like.

    Attributes
    ----------
    contrast : float
        Typical darkness of the ink against the paper, 0 to 1.
    text_height_px : float
        Median height of the digits found, in source pixels; 0 where none were found.
    warnings : tuple of str
        What limits the reading (``low contrast``, ``tiny digits``, …), for people.
    """

    contrast: float
    text_height_px: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PageResult:
    """A page that was read; `width`, `height` in source pixels."""

    ref: PageRef
    width: int
    height: int
    dpi: float | None
    skew_degrees: float
    quality: Quality
    readings: tuple[FieldReading, ...]
    form: FormMatch | None = None


@dataclass(frozen=True, slots=True)
class PageFailure:
    """A page, or a whole source, that could not be read: failure is a value.

    Attributes
    ----------
    ref : PageRef
        Where it comes from.
    stage : str
        The stage that failed: ``ingest``, ``registration``, ``segmentation``, ``recognition``, ``decode`` or
        ``export``.
    error : str
        Class name of the error.
    message : str
        What happened, in one line.
    remedy : str
        What the user can do about it, in one line; may be empty.
    """

    ref: PageRef
    stage: str
    error: str
    message: str
    remedy: str = ""


PageOutcome: TypeAlias = PageResult | PageFailure


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The part of a model's card that every result carries."""

    id: str
    sha256: str
    normalization_version: int


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The origin of a result: which program, models and configuration made it."""

    digitscan: str
    model: ModelInfo
    config: dict[str, object]
    line_model: ModelInfo | None = None
