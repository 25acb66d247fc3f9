"""Which strings of a page a second reader should see, the line recognizer; and what it says of them.

PreparedPage, posteriors ─ needs_line_recognition ─> strings ─ views_of ─> lines ─ line recognizer ─ answers_by_string
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from digitscan.core.types import NOT_A_DIGIT, Layout, Posteriors
from digitscan.decoding.automata import allows
from digitscan.recognition.lines import Line
from digitscan.regions.prepared import PreparedPage

if TYPE_CHECKING:  # forms are loaded by those who read them
    from digitscan.forms.form_page import FilledPage


def needs_line_recognition(page: PreparedPage, posteriors: Posteriors) -> list[int]:
    """Strings that a second reader should see: all likely numbers, and what a stroke goes through.

    The pieces of the latter look like anything.

    Parameters
    ----------
    page : PreparedPage
    posteriors : (N, 11) float32
        Of `page.crops`, row by row.
    """
    chosen = []
    for index, string in enumerate(page.strings):
        if string.whole is None:
            continue
        rows = string.rows(posteriors)
        single = [k for k, edge in enumerate(string.edges) if edge.stop - edge.start == 1 and not edge.small]
        likely = page.layout is Layout.LINE or (rows[single].argmax(axis=1) < NOT_A_DIGIT).mean() >= 0.5
        if string.struck is not None or likely:
            chosen.append(index)
    return chosen


def views_of(page: PreparedPage, chosen: Sequence[int]) -> list[Line]:
    """All views of the chosen strings, string by string."""
    return [view for index in chosen for view in _views(page, index)]


def plain_views_of(page: PreparedPage, chosen: Sequence[int]) -> list[Line]:
    """Each chosen string as it stands."""
    return [_views(page, index)[0] for index in chosen]


def _views(page: PreparedPage, index: int) -> tuple[Line, ...]:
    whole = page.strings[index].whole
    return whole.views() if whole is not None else ()


def answers_by_string(
    page: PreparedPage, chosen: Sequence[int], answers: Iterator[Posteriors]
) -> dict[int, list[Posteriors]]:
    """What was said of `views_of` the chosen strings, by string; takes as many answers as there are views."""
    return {index: list(islice(answers, len(_views(page, index)))) for index in chosen}


def form_needs_line_recognition(page: FilledPage, posteriors: Posteriors) -> list[int]:
    """Strings that the second reader should see: as on any page, and those whose first reading breaks their rules."""
    from digitscan.forms.fields import read_field

    chosen = set(needs_line_recognition(page.prepared, posteriors))
    for slot in page.slots:
        for index in (slot.string, slot.unsubtracted):
            if index is None or page.prepared.strings[index].whole is None:
                continue
            if index != slot.string or (slot.constraint is not None and index not in chosen):
                string = page.prepared.strings[index]
                rows = string.rows(posteriors)
                first = read_field(string.edges, rows, string.pieces, string.height, None, None)
                if first is None or slot.constraint is None or not allows(slot.constraint.whole, first.raw):
                    chosen.add(index)
    return sorted(chosen)
