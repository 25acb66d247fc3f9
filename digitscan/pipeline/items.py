"""What goes through a run: pages on their way, pages that are read, and who reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from digitscan.core.errors import DigitscanError
from digitscan.core.types import Crops, GrayImage, PageFailure, PageOutcome, PageRef, Posteriors, RasterPage

if TYPE_CHECKING:  # a run whose pages other processes read loads nothing of this
    from digitscan.forms.form_page import FilledPage
    from digitscan.micr.read import ReadMicr
    from digitscan.recognition.lines import Line
    from digitscan.regions.prepared import PreparedPage


class Classify(Protocol):
    """What reads crops: `digitscan.recognition.runtime.Classifier`, or a stand-in in tests."""

    def classify(self, crops: Crops) -> Posteriors:
        """(N, 28, 28) uint8 to (N, 11) float32."""
        ...


class RecognizeLines(Protocol):
    """What reads whole lines: `digitscan.recognition.runtime.LineRecognizer`, or a stand-in in tests."""

    def read(self, lines: Sequence[Line]) -> list[Posteriors]:
        """(32, w) uint8 each to (w / 4, 20) float32 each."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PageRead:
    """One page's outcome together with its picture, for whoever draws on it.

    Attributes
    ----------
    outcome : PageOutcome
    image : (H, W) uint8 or None
        The source page; None for a failure, or when no picture was asked for.
    seconds : float
        How long a worker took for it; 0 where pages are read together.
    """

    outcome: PageOutcome
    image: GrayImage | None
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class PageTask:
    """A page on its way.

    Attributes
    ----------
    ref : PageRef
    settled : PageOutcome or None
        Its outcome where there is nothing left to do: a failure, a result that was known before, or one that a
        worker has read; `image` is its picture then, and `seconds` how long it took.
    page, prepared, filled, posteriors
        What the stages have made of it so far.
    magnetic : sequence of ReadMicr
        Its lines of magnetic characters, where no template says what they are.
    """

    ref: PageRef
    settled: PageOutcome | None = None
    image: GrayImage | None = None
    seconds: float = 0.0
    page: RasterPage | None = None
    prepared: PreparedPage | None = None
    filled: FilledPage | None = None
    posteriors: Posteriors | None = None
    magnetic: Sequence[ReadMicr] = ()


_NO_MEMORY = ("Insufficient memory", "Cannot allocate memory", "bad_alloc")


def failure(ref: PageRef, stage: str, error: BaseException) -> PageFailure:
    """Make a failure a value."""
    if isinstance(error, DigitscanError):
        return PageFailure(ref, stage, type(error).__name__, error.message, error.remedy)
    message = " ".join(str(error).split()) or type(error).__name__
    # OpenCV has an error of its own for this, and others raise what they know.
    if isinstance(error, MemoryError) or any(sign in message for sign in _NO_MEMORY):
        remedy = "scan at a lower resolution, or raise batch.worker_memory_mb in the configuration"
        return PageFailure(ref, stage, "MemoryError", "not enough memory for this page", remedy)
    return PageFailure(ref, stage, type(error).__name__, message[:300], "please report this page as a bug")
