"""The form's description: which fields a page has, where they lie, and what may stand in them.

A template is a TOML file. Unknown keys are errors, named with their line and the nearest key that exists.

::

    [form]
    name = "survey"
    blank = "survey.png"        # picture or PDF of the empty form; left out where digitscan prints the form itself
    size = [210.0, 297.0]       # of a page; needed where there is no blank
    unit = "mm"                 # or "px": pixels of the blank

    [[field]]
    name = "patient"
    kind = "boxes"
    box = [30, 40, 80, 10]      # left, top, width, height
    digits = 8
    check = "luhn"
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from digitscan.core.errors import UsageError
from digitscan.core.files import MAX_TOML, parse_toml, read_regular
from digitscan.decoding.patterns import parse_pattern
from digitscan.decoding.rules import CrossFieldRule, Operand, parse_rule

FieldKind = Literal["boxes", "comb", "free", "mark", "printed", "micr"]
MicrPart = Literal["line", "transit", "account", "serial", "amount"]
CheckName = Literal["luhn", "mod10", "mod11", "mod97", "isbn10", "isbn13", "ean13", "aba", "verhoeff", "weights"]
Locale = Literal["", "en", "de", "fr", "ch"]
Measure = Annotated[float, Field(ge=0, le=1_000_000)]
Measures = tuple[Measure, Measure, Measure, Measure]
Side = Annotated[float, Field(gt=0, le=1200)]
"""Of a page that digitscan draws, in mm; the longer one of A0 has 1189."""

MM_PER_INCH = 25.4
MARK_FAMILY = "DICT_4X4_250"
"""OpenCV's name of the corner marks' dictionary; `corner_mark` numbers them."""
SHIPPED = Path(__file__).resolve().parent.parent / "templates"
"""Where templates lie that come with digitscan: ``us-cheque``."""
MAX_CELLS = 4000
"""Cells of one grid, at the most."""
MAX_ROSTER = 1_000_000
"""Allowed values of one field, at the most."""
_MAX_ROSTER_BYTES = 100_000_000
_MAX_BLANK = 500_000_000
"""Bytes of a blank's file, at the most."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FieldRules(_Section):
    """What may stand in a field; holds for every cell of a grid too."""

    digits: int | tuple[int, int] | None = None
    """How many digits, or the fewest and the most."""
    pattern: str = ""
    """A regular expression over digits that the whole text matches: ``20\\d\\d``, ``[1-5]``, ``(07|08)\\d{4}``."""
    range: tuple[int, int] | None = None
    """Smallest and largest number, both allowed, of the digits as they stand; decimals do not count."""
    allowed: tuple[str, ...] | str = ()
    """All values there are, or a text file beside the template with one a line (a roster)."""
    check: CheckName | None = None
    """Rule of the check digit, the last one unless the rule's standard says otherwise."""
    weights: tuple[int, ...] = ()
    """For ``check = "weights"``: what each digit counts, from the left; the sum is a multiple of `modulus`."""
    modulus: Annotated[int, Field(ge=2, le=997)] = 10
    decimals: Annotated[int, Field(ge=0, le=9)] | None = None
    """The last so many digits stand behind the decimal point, which is in `value` only."""
    locale: Locale = ""
    """How a free line writes decimals: ``en`` 1,234.56; ``de`` 1.234,56; ``fr`` 1 234,56; ``ch`` 1'234.56."""
    required: bool = False
    """An empty field is for review."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        low, high = self.length
        if not 1 <= low <= high <= 64:
            raise ValueError("digits must be 1 to 64, the fewest before the most")
        if self.pattern:
            parse_pattern(self.pattern)
        if self.range is not None and not 0 <= self.range[0] <= self.range[1]:
            raise ValueError("range must be two numbers from 0 on, the smaller one first")
        if self.check == "weights" and not self.weights:
            raise ValueError('check = "weights" needs weights = [...]')
        if self.weights and self.check != "weights":
            raise ValueError('weights need check = "weights"')
        if not isinstance(self.allowed, str) and not all(v.isascii() and v.isdigit() for v in self.allowed):
            raise ValueError("allowed values are rows of digits")
        if self.check in ("mod11", "verhoeff") and self.digits is None:
            raise ValueError(f"check = {self.check!r} counts from the right and needs digits")
        if self.locale and self.decimals is None:
            raise ValueError("locale says how decimals are written: give decimals too")
        return self

    @property
    def length(self) -> tuple[int, int]:
        """Fewest and most digits."""
        if self.digits is None:
            return 1, 64
        return (self.digits, self.digits) if isinstance(self.digits, int) else self.digits

    @property
    def constrained(self) -> bool:
        """Whether anything is said that a reading could break."""
        return any((self.digits is not None, self.pattern, self.range, self.allowed, self.check))


class Zone(FieldRules):
    """What fields and grids share: a name, and a place on a page."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]
    page: Annotated[int, Field(ge=1, le=500)] = 1
    kind: FieldKind = "boxes"
    """``boxes``: one digit a box; ``comb``: one digit a tooth; ``free``: a line; ``mark``: a tick box, read as 1;
    ``printed``: printed, not written, and no part of the blank; ``micr``: on a cheque, `part` of the line at its
    foot."""
    box: Measures | None = None
    """Left, top, width, height in the form's unit, from the page's upper left corner."""
    frame: Annotated[int, Field(ge=1)] | None = None
    """Instead of `box`: number of the row of boxes, comb, line or table on the blank, in the order in which
    ``digitscan form new`` finds them."""
    find: Literal["", "frame"] = ""
    """``frame``: on a cheque, the field is the largest printed box within `box`; `box` itself where there is none."""
    part: MicrPart = "line"
    """Of a cheque's line: all of it, the bank between the transit symbols, the account, the cheque's number, the
    amount."""

    @model_validator(mode="after")
    def _placed(self) -> Self:
        if self.kind == "micr":
            if self.box is not None or self.frame is not None:
                raise ValueError("a cheque's line is found by itself: give no box")
            return self
        if (self.box is None) == (self.frame is None):
            raise ValueError("give box = [left, top, width, height], or frame = its number on the blank")
        if self.box is not None and (min(self.box[:2]) < 0 or min(self.box[2:]) <= 0):
            raise ValueError("box must lie on the page and have a size")
        if self.kind in ("boxes", "comb") and self.digits is None:
            raise ValueError(f"kind = {self.kind!r} needs digits, its number of boxes")
        if self.kind == "mark" and self.constrained:
            raise ValueError("a mark is there or not: it takes no rules about digits")
        return self

    @property
    def places(self) -> int:
        """Boxes or teeth; 1 for other kinds."""
        return self.length[1] if self.kind in ("boxes", "comb") else 1


class FieldSpec(Zone):
    """One field of a form."""


class GridSpec(Zone):
    """A table of like cells: each is a field of its own, named by its row and column."""

    kind: FieldKind = "free"
    """As of a field; ``boxes`` parts each cell into `digits` boxes."""
    rows: int | tuple[str, ...]
    """How many, or their names from the top."""
    columns: int | tuple[str, ...]
    """How many, or their names from the left."""

    @model_validator(mode="after")
    def _shaped(self) -> Self:
        if not 1 <= self.row_count * self.column_count <= MAX_CELLS:
            raise ValueError(f"a grid has 1 to {MAX_CELLS} cells")
        names = self.column_names
        if len(set(names)) != len(names) or not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", n) for n in names):
            raise ValueError("columns need unlike names of letters, digits and _")
        return self

    @property
    def row_count(self) -> int:
        """Rows."""
        return self.rows if isinstance(self.rows, int) else len(self.rows)

    @property
    def column_count(self) -> int:
        """Columns."""
        return self.columns if isinstance(self.columns, int) else len(self.columns)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names from the left; ``c1``, ``c2``, … where none are given."""
        return tuple(f"c{k + 1}" for k in range(self.columns)) if isinstance(self.columns, int) else self.columns


class RuleSpec(_Section):
    """A rule across fields, such as ``total == sum(items.amount)``."""

    expression: str
    name: str = ""
    """What the reason says; the expression itself where it is left out."""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        parse_rule(self.expression)
        return self

    @property
    def label(self) -> str:
        """For people."""
        return self.name or self.expression


class PagesRule(NamedTuple):
    """A rule across the pages of a form.

    Attributes
    ----------
    label : str
    rule : CrossFieldRule
    cells : mapping
        The single values that each name in it stands for.
    lists : frozenset of str
        Names that stand for a list, were it of one value.
    """

    label: str
    rule: CrossFieldRule
    cells: Mapping[str, tuple[str, ...]]
    lists: frozenset[str]

    def holds(self, values: Mapping[str, Decimal | None]) -> bool | None:
        """Whether it is fulfilled by single values; None where that cannot be told."""
        operands: dict[str, Operand] = {
            name: [values.get(cell) for cell in cells] if name in self.lists else values.get(cells[0])
            for name, cells in self.cells.items()
        }
        return self.rule.holds(operands)


class FormSpec(_Section):
    """The form as a whole."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=64)]
    unit: Literal["mm", "px"] = "mm"
    blank: str = ""
    size: tuple[Side, Side] | None = None
    pages: Annotated[int, Field(ge=1, le=500)] = 1
    anchor: Literal["", "frame", "micr"] = ""
    """``frame``: pages share no print but a ruled frame, such as a puzzle or a table; it becomes `size`, and zones are
    placed in it. ``micr``: cheques, which are found by the line of magnetic characters at their foot; a page may hold
    several, and zones are placed on a cheque of `size`."""
    title: str = ""
    """Printed at the top of a form that digitscan prints."""
    dpi: Annotated[float, Field(ge=50, le=1200)] | None = None
    """Resolution of the blank where its file does not say."""


class Template(_Section):
    """A form: its pages' fields, and the rules across them.

    Use `load_template`, which also finds the blank and the rosters beside the file.
    """

    form: FormSpec
    field: tuple[FieldSpec, ...] = ()
    grid: tuple[GridSpec, ...] = ()
    rule: tuple[RuleSpec, ...] = ()
    _folder: Path = PrivateAttr(default=Path())
    _rosters: dict[str, tuple[str, ...]] = PrivateAttr(default_factory=dict)
    _digest: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        zones: tuple[Zone, ...] = (*self.field, *self.grid)
        names = [zone.name for zone in zones]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"two fields are named {twice[0]!r}")
        if not names:
            raise ValueError("a form has at least one [[field]] or [[grid]]")
        for zone in zones:
            if zone.page > self.form.pages:
                raise ValueError(f"{zone.name!r} lies on page {zone.page} of a form of {self.form.pages}")
            if zone.frame is not None and not self.form.blank:
                raise ValueError(f"{zone.name!r} names a frame of the blank, and the form has no blank")
        if self.form.anchor and (self.form.blank or self.form.pages > 1):
            raise ValueError("a form that is found by its frame or its line has no blank, and one page")
        if self.form.anchor != "micr" and any(zone.kind == "micr" or zone.find for zone in zones):
            raise ValueError('kind = "micr" and find are for cheques: give anchor = "micr" under [form]')
        if self.form.anchor == "micr" and self.grid:
            raise ValueError("a cheque has fields, and no grids")
        if not self.form.blank:
            if self.form.size is None or self.form.unit != "mm":
                raise ValueError('a form without blank needs size = [width, height] and unit = "mm"')
            for zone in zones:
                x, y, w, h = zone.box or (0, 0, 0, 0)
                if x + w > self.form.size[0] or y + h > self.form.size[1]:
                    raise ValueError(f"{zone.name!r} reaches beyond the page")
        pages = {zone.name: zone.page for zone in zones}
        for grid in self.grid:
            pages |= {f"{grid.name}.{column}": grid.page for column in grid.column_names}
        for rule in self.rule:
            names_used = parse_rule(rule.expression).names
            for name in names_used:
                if name not in pages:
                    near = difflib.get_close_matches(name, pages, 1)
                    hint = f"; did you mean {near[0]!r}?" if near else ""
                    raise ValueError(f"rule {rule.label!r} speaks of {name!r}, which is no field{hint}")
        return self

    @property
    def folder(self) -> Path:
        """Where the file lies; its blank and rosters are beside it."""
        return self._folder

    @property
    def blank_path(self) -> Path | None:
        """The blank's file; None where digitscan draws it."""
        return self._folder / self.form.blank if self.form.blank else None

    @property
    def digest(self) -> str:
        """Hash of the template, its rosters and its blank: sha256, first 16 hexadecimal digits."""
        return self._digest

    def allowed(self, zone: FieldRules) -> tuple[str, ...]:
        """The values that a field may hold; empty means any."""
        return self._rosters[zone.allowed] if isinstance(zone.allowed, str) else zone.allowed

    def zones(self, page: int) -> Iterator[FieldSpec | GridSpec]:
        """Fields and grids of a page, 1-based, in the template's order."""
        yield from (f for f in self.field if f.page == page)
        yield from (g for g in self.grid if g.page == page)

    def grid_columns(self, page: int) -> dict[str, list[str]]:
        """Names of the cells of each grid of a page, by the grid's name and by ``grid.column``: what rules speak of."""
        found: dict[str, list[str]] = {}
        for grid in self.grid:
            if grid.page != page:
                continue
            for column, name in enumerate(grid.column_names, 1):
                cells = [cell_name(grid, row, column) for row in range(1, grid.row_count + 1)]
                found[f"{grid.name}.{name}"] = cells
                found.setdefault(grid.name, []).extend(cells)
        return found

    def rules_across_pages(self) -> list[PagesRule]:
        """Rules that no page can decide by itself."""
        cells: dict[str, list[str]] = {}
        pages = {zone.name: zone.page for zone in (*self.field, *self.grid)}
        for page in range(1, self.form.pages + 1):
            cells |= self.grid_columns(page)
        found = []
        for spec in self.rule:
            rule = parse_rule(spec.expression)
            if len({pages[name.split(".")[0]] for name in rule.names}) > 1:
                own = {name: tuple(cells.get(name, [name])) for name in rule.names}
                found.append(PagesRule(spec.label, rule, own, frozenset(cells)))
        return found

    def columns(self) -> list[str]:
        """Names of all single values in the template's order: the columns of a wide table."""
        names = [f.name for f in self.field]
        for grid in self.grid:
            names += [
                cell_name(grid, row, column)
                for row in range(1, grid.row_count + 1)
                for column in range(1, grid.column_count + 1)
            ]
        return names


def cell_name(grid: GridSpec, row: int, column: int) -> str:
    """Name of a grid's cell, 1-based: ``items_3_amount``, or with the row's own name."""
    label = str(row) if isinstance(grid.rows, int) else re.sub(r"\W+", "_", grid.rows[row - 1])
    return f"{grid.name}_{label}_{grid.column_names[column - 1]}"


def copy_name(name: str, copy: int | None) -> str:
    """Name of a field of one of several cheques on a page, 1-based: the first one's own, then ``amount_2``."""
    return name if copy in (None, 1) else f"{name}_{copy}"


def corner_mark(page: int, corner: int) -> int:
    """Number of the mark at a corner (0 to 3, clockwise from the upper left) of a page, 1-based."""
    return (4 * (page - 1) + corner) % 250


def _line_of(text: str, location: tuple[Any, ...]) -> int:
    """Line of the TOML text, 1-based, where the table or key of an error stands; 0 where it cannot be told."""
    lines = text.splitlines()
    start = 0
    if location and isinstance(location[0], str):
        heads = [k for k, line in enumerate(lines) if re.match(rf"\s*\[\[?\s*{re.escape(location[0])}\b", line)]
        number = location[1] if len(location) > 1 and isinstance(location[1], int) else 0
        if number < len(heads):
            start = heads[number]
        elif not heads:
            return 0
    # The last of these names may be of a type that was tried, and is then no key.
    for key in (part for part in reversed(location[1:]) if isinstance(part, str)):
        for k in range(start + 1, len(lines)):
            if re.match(r"\s*\[", lines[k]):
                break
            if re.match(rf"\s*{re.escape(key)}\s*=", lines[k]):
                return k + 1
    return start + 1


def _line_naming(text: str, message: str) -> int:
    """Line, 1-based, of the last table that has a name, or a rule, which an error of the whole template puts in quotes;
    0 where there is none."""
    lines = text.splitlines()
    for quoted in re.findall(r"'([^']+)'", message):
        for k in reversed(range(len(lines))):
            if re.match(r"\s*(name|expression)\s*=", lines[k]) and re.search(
                rf"[\"']{re.escape(quoted)}[\"']", lines[k]
            ):
                return k + 1
    return 0


def _explain(error: ValidationError, text: str, path: Path) -> UsageError:
    first = error.errors()[0]
    location = first["loc"]
    line = _line_of(text, location) if location else _line_naming(text, first["msg"])
    where = f"{path}, line {line}" if line else str(path)
    if first["type"] == "extra_forbidden":
        key = str(location[-1])
        sections: dict[str, type[_Section]] = {
            "form": FormSpec, "field": FieldSpec, "grid": GridSpec, "rule": RuleSpec,
        }  # fmt: skip
        section = sections.get(str(location[0]), Template) if len(location) > 1 else Template
        known = list(section.model_fields)
        near = difflib.get_close_matches(key, known, 1, 0.5)
        remedy = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
        return UsageError(f"{where}: no key named {key!r}", remedy=remedy)
    what = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in location)
    message = first["msg"].removeprefix("Value error, ")
    return UsageError(f"{where}: {what + ': ' if what else ''}{message}", remedy="see docs/forms.md")


def load_template(path: str | Path) -> Template:
    """Read a template, and the rosters that it names; a bare name may be one of those that come with digitscan.

    Raises
    ------
    UsageError
        If a file cannot be read, a key is unknown, or a value makes no sense; names file and line.
    """
    path = Path(path)
    if not path.suffix and not path.exists() and (SHIPPED / f"{path.name}.toml").is_file():
        path = SHIPPED / f"{path.name}.toml"
    try:
        raw = read_regular(path, MAX_TOML)
        text = raw.decode("utf-8")
        settings = parse_toml(text)
    except OSError as error:
        why = error.strerror or str(error)
        own = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.toml")))
        raise UsageError(f"cannot read template {path}: {why}", remedy=f"give a TOML file, or {own}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no TOML: {error}", remedy="see docs/forms.md") from error
    try:
        template = Template.model_validate(settings)
    except ValidationError as error:
        raise _explain(error, text, path) from error
    digest = hashlib.sha256(raw)
    template._folder = path.parent
    for zone in (*template.field, *template.grid):
        if isinstance(zone.allowed, str) and zone.allowed not in template._rosters:
            values = _roster(path.parent / zone.allowed, path)
            template._rosters[zone.allowed] = values
            digest.update("\n".join(values).encode())
    if template.blank_path is not None:
        try:
            digest.update(read_regular(template.blank_path, _MAX_BLANK))
        except OSError as error:
            raise UsageError(
                f"{path}: cannot read the blank {template.form.blank}: {error.strerror or error}",
                remedy="put the empty form's picture or PDF beside the template",
            ) from error
    template._digest = digest.hexdigest()[:16]
    return template


def _roster(file: Path, template: Path) -> tuple[str, ...]:
    try:
        lines = read_regular(file, _MAX_ROSTER_BYTES).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{template}: cannot read the roster {file.name}: {error}", remedy="give a text file, a value a line"
        ) from error
    values = tuple(dict.fromkeys(line.strip() for line in lines if line.strip() and not line.startswith("#")))
    for value in values:
        if not (value.isascii() and value.isdigit()):
            raise UsageError(
                f"roster {file}: {value[:40]!r} is no row of digits", remedy="write digits alone, a value a line"
            )
    if not 0 < len(values) <= MAX_ROSTER:
        raise UsageError(
            f"roster {file} has {len(values)} values", remedy=f"give at least one and at most {MAX_ROSTER}"
        )
    return values
