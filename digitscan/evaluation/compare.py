"""The table of models: one row each, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model in the comparison.

    Attributes
    ----------
    id, summary : str
    numbers : int
        Parameters of a network; numbers that a classical method keeps.
    file_bytes : int
        Size of its file; 0 where it has none.
    training_s : float
        Seconds of training; 0 where unknown.
    crops_per_s : float
        In batches of 1024.
    published : float
        Share of MNIST's test digits right as its author states; 0 where none is stated.
    accuracy : dict of str to float
        Share right, among ten digits, by set.
    trained_on : frozenset of str
        Sets among those that it learned from: their shares say nothing of new writers.
    """

    id: str
    summary: str
    numbers: int
    file_bytes: int
    training_s: float
    crops_per_s: float
    published: float
    accuracy: dict[str, float]
    trained_on: frozenset[str] = frozenset()


def _set_names(rows: Sequence[ModelRow]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.accuracy))


def _share(row: ModelRow, name: str) -> str:
    if name not in row.accuracy:
        return "-"
    return f"{row.accuracy[name]:.2%}" + ("*" if name in row.trained_on else "")


def _size(count: int) -> str:
    return "-" if not count else f"{count / 1e6:.1f} MB"


def to_markdown(rows: Sequence[ModelRow], *, command: str, machine: str) -> str:
    """A page that says how it was made.

    Parameters
    ----------
    rows : sequence of ModelRow
    command : str
        What makes the page again.
    machine : str
        Where the speeds and times come from.
    """
    names = _set_names(rows)
    head = ["model", "published", *names, "parameters", "file", "trained in", "crops/s"]
    lines = [
        "# Models compared",
        "",
        f"Made by `{command}` on {machine}. Shares are digits right among ten, one pass; MNIST's test digits train and",
        "tune nothing. `published` is the MNIST figure that the author states. The classical methods and the networks",
        "with a published recipe learn from MNIST's training digits alone. A star marks a set that the model learned",
        "from: that share says nothing of new writers.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "|".join(["---"] + ["---:"] * (len(head) - 1)) + "|",
    ]
    for row in rows:
        cells = [
            f"`{row.id}`",
            f"{row.published:.2%}" if row.published else "-",
            *(_share(row, name) for name in names),
            f"{row.numbers:,}",
            _size(row.file_bytes),
            f"{row.training_s / 60:.1f} min" if row.training_s else "-",
            f"{row.crops_per_s:,.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *(f"- `{row.id}`: {row.summary}." for row in rows), ""]
    return "\n".join(lines)


def to_csv(rows: Sequence[ModelRow]) -> str:
    """The same figures for other programs; RFC 4180."""
    names = _set_names(rows)
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["model", "published", *names, "parameters", "file_bytes", "training_s", "crops_per_s"])
    for row in rows:
        shares = [f"{row.accuracy[name]:.6f}" if name in row.accuracy else "" for name in names]
        figures = [row.numbers, row.file_bytes, f"{row.training_s:.1f}", f"{row.crops_per_s:.0f}"]
        writer.writerow([row.id, f"{row.published:.4f}" if row.published else "", *shares, *figures])
    return stream.getvalue()
