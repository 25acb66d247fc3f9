"""The places of a form that hold one value each."""

from __future__ import annotations

from dataclasses import dataclass

from digitscan.forms.template import FieldSpec, GridSpec, Zone, cell_name


@dataclass(frozen=True, slots=True)
class FormCell:
    """One place of a page that holds one value.

    Attributes
    ----------
    name : str
    row, column : int or None
        1-based, in a grid.
    box : (float, float, float, float)
        Left, top, width, height in pixels of the blank.
    zone : Zone
        Its description.
    """

    name: str
    row: int | None
    column: int | None
    box: tuple[float, float, float, float]
    zone: Zone


def cells_of(zone: FieldSpec | GridSpec, box: tuple[float, float, float, float]) -> list[FormCell]:
    """The values of a zone that lies at `box`: the field itself, or a grid's cells row by row."""
    if isinstance(zone, FieldSpec):
        return [FormCell(name=zone.name, row=None, column=None, box=box, zone=zone)]
    x, y, w, h = box
    wide, high = w / zone.column_count, h / zone.row_count
    return [
        FormCell(
            name=cell_name(zone, r + 1, c + 1),
            row=r + 1,
            column=c + 1,
            box=(x + c * wide, y + r * high, wide, high),
            zone=zone,
        )
        for r in range(zone.row_count)
        for c in range(zone.column_count)
    ]
