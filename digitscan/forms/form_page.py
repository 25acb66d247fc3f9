"""One page of a form, and what a filled one holds."""

from __future__ import annotations

from dataclasses import dataclass

from digitscan.core.types import FormMatch, Posteriors, State, Transform
from digitscan.decoding.lattice import Edge
from digitscan.forms.cells import FormCell
from digitscan.forms.constraints import Constraint
from digitscan.forms.registration import Blank
from digitscan.forms.template import Template
from digitscan.regions.prepared import PreparedPage


@dataclass(frozen=True, slots=True, eq=False)
class FormPage:
    """One page of a form: its blank, and the places of its values in the blank's pixels.

    `blank` is None for cheques, which differ in print: they have in common where things stand.
    """

    template: Template
    page: int
    blank: Blank | None
    cells: tuple[FormCell, ...]
    constraints: tuple[Constraint | None, ...]
    dpi: float


@dataclass(frozen=True, slots=True, eq=False)
class PrintedText:
    """Print that was read place by place.

    Attributes
    ----------
    edges : tuple of Edge
        One a place.
    posteriors : (N, 11) float32
        Of each place.
    written : str
        All of it, with symbols.
    """

    edges: tuple[Edge, ...]
    posteriors: Posteriors
    written: str


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One value of a filled page.

    Attributes
    ----------
    cell : FormCell
    constraint : Constraint or None
    string : int or None
        Its row of the page's strings; None where there is nothing to read.
    unsubtracted : int or None
        The same field read with the form's own ink in it, where that field has some.
    state : State
        What is known before reading: VALUE, BLANK or STRUCK.
    note : str
        What a person should know: an empty box between digits, a mark that may be none.
    printed : PrintedText or None
        What was read already, where the field is part of a cheque's line.
    to_source : (3, 3) float64 or None
        From this field's pixels to the page's, where the page holds several forms.
    copy : int or None
        Which of them, 1-based.
    """

    cell: FormCell
    constraint: Constraint | None
    string: int | None
    unsubtracted: int | None = None
    state: State = State.VALUE
    note: str = ""
    printed: PrintedText | None = None
    to_source: Transform | None = None
    copy: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FilledPage:
    """A page laid on its blank, ready for the classifier; of several cheques on it, all of one form."""

    prepared: PreparedPage
    form: FormPage
    slots: tuple[Slot, ...]
    match: FormMatch
