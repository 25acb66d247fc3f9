"""Wide tables: a row a filled form, a column a field, as whoever owns the form wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from digitscan.core.errors import UsageError
from digitscan.core.guard import Checks
from digitscan.core.types import FieldReading, PageFailure, PageOutcome, PageResult, State
from digitscan.forms.template import PagesRule, Template, copy_name

LEADING = ("file", "page", "form", "review", "reason")
"""Columns before the fields."""


@dataclass(slots=True)
class FilledForm:
    """The pages of one filled form, gathered.

    Attributes
    ----------
    file : str
        The first page's.
    page : int
        The first page's number in its file, 1-based.
    form : str
        The template's name; empty for a page that fits none.
    pages : set of int
        Pages of the form that were found, 1-based.
    readings : dict of str to FieldReading
    reasons : list of str
        Why a person should look, beyond single fields.
    """

    file: str
    page: int
    form: str
    pages: set[int] = field(default_factory=set)
    readings: dict[str, FieldReading] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FormColumns:
    """What a wide table has to know of a form: its name, its number of pages, its values in order, and its rules across
    pages."""

    name: str
    pages: int
    columns: tuple[str, ...]
    rules: tuple[PagesRule, ...] = ()

    @classmethod
    def of(cls, template: Template) -> FormColumns:
        """Those of a template."""
        own = tuple(template.rules_across_pages())
        return cls(template.form.name, template.form.pages, tuple(template.columns()), own)


class Gatherer:
    """Joins the pages of forms with several pages, in whatever order they come.

    A page that is there already begins the next form of its kind; pages follow each other closely in a batch, so only
    one form of each kind is open at a time.
    """

    def __init__(self, forms: Sequence[FormColumns]) -> None:
        self._forms = {form.name: form for form in forms}
        self._open: dict[str, FilledForm] = {}

    def add(self, outcome: PageOutcome) -> list[FilledForm]:
        """Take a page; gives the forms that are complete with it."""
        ref = outcome.ref
        if isinstance(outcome, PageFailure):
            why = f"{outcome.stage}: {outcome.message}" + (f"; {outcome.remedy}" if outcome.remedy else "")
            return [FilledForm(ref.path, ref.page_number, "", reasons=[why])]
        match = outcome.form
        if match is None:
            return []
        if match.name not in self._forms:
            raise UsageError(
                f"form {match.name} was used in this run and is not given now",
                remedy=f"add --form with the template of {match.name}",
            )
        if copies := _copies(outcome):
            return [FilledForm(ref.path, ref.page_number, match.name, {1}, readings) for readings in copies]
        done = []
        current = self._open.get(match.name)
        if current is not None and match.page in current.pages:
            done.append(self._open.pop(match.name))
            current = None
        if current is None:
            current = self._open[match.name] = FilledForm(ref.path, ref.page_number, match.name)
        current.pages.add(match.page)
        current.readings |= {reading.name: reading for reading in outcome.readings}
        if len(current.pages) == self._forms[match.name].pages:
            done.append(self._open.pop(match.name))
        return [self._closed(form) for form in done]

    def rest(self) -> list[FilledForm]:
        """Forms whose pages did not all come."""
        left = [self._closed(form) for form in self._open.values()]
        self._open.clear()
        return left

    def _closed(self, form: FilledForm) -> FilledForm:
        missing = sorted(set(range(1, self._forms[form.form].pages + 1)) - form.pages)
        if missing:
            form.reasons.append(f"page {', '.join(map(str, missing))} missing")
        elif rules := self._forms[form.form].rules:
            checks = Checks()
            form.reasons = checks.run("rules across pages", lambda so_far: so_far + _broken(form, rules), form.reasons)
            form.reasons += checks.warnings
        return form


def _broken(form: FilledForm, rules: Sequence[PagesRule]) -> list[str]:
    values = {name: _number(reading) for name, reading in form.readings.items()}
    return [f"{rule.label} does not hold" for rule in rules if rule.holds(values) is False]


def _number(reading: FieldReading) -> Decimal | None:
    """What a field says; None where nothing stands in it."""
    text = reading.value or reading.text
    return Decimal(text) if text else None


def _copies(page: PageResult) -> list[dict[str, FieldReading]]:
    """The cheques of a page that shows several, each with its fields by their own names."""
    copies: dict[int, dict[str, FieldReading]] = {}
    for reading in page.readings:
        if reading.row is not None and not reading.table:
            copies.setdefault(reading.row, {})[reading.name.removesuffix(copy_name("", reading.row))] = reading
    return [copies[number] for number in sorted(copies)]


def header(forms: Sequence[FormColumns]) -> list[str]:
    """Column names: those of all forms, one after the other, each value with its confidence and its state."""
    names = [name for form in forms for name in form.columns]
    return [
        *LEADING,
        *(column for name in dict.fromkeys(names) for column in (name, f"{name}_confidence", f"{name}_state")),
    ]


def form_row(form: FilledForm, forms: Sequence[FormColumns]) -> list[str]:
    """One filled form as cells of text, in the order of `header`."""
    own = next((f for f in forms if f.name == form.form), None)
    reviewed = [f"{name}: {r.reason or 'unsure'}" for name, r in form.readings.items() if r.review]
    reasons = [*form.reasons, *reviewed]
    cells = [form.file, str(form.page), form.form, "true" if reasons else "false", "; ".join(reasons)]
    for name in dict.fromkeys(name for f in forms for name in f.columns):
        reading = form.readings.get(name)
        if reading is not None:
            cells += [reading.value or reading.text, f"{reading.confidence:.4f}", reading.state.value]
        elif own is not None and name in own.columns:
            cells += ["", "", State.MISSING.value]
        else:
            cells += ["", "", ""]
    return cells
