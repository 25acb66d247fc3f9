"""Parquet: the rows of ``results.csv`` with types, in row groups, so that memory stays flat."""

from __future__ import annotations

from typing import Any

from digitscan.core.errors import UsageError
from digitscan.core.types import GrayImage, PageFailure, PageOutcome, RunInfo
from digitscan.export.base import COLUMNS, ResultWriter, failure_row, reading_row
from digitscan.export.records import clean

_GROUP = 20_000
"""Rows of a group."""
_INTEGERS = frozenset(("page", "row", "column", "x", "y", "width", "height"))


class ParquetWriter(ResultWriter):
    """One row a reading, as `digitscan.export.writers.CsvWriter` has them; what is empty there is null here."""

    def __init__(self, target: str, run: RunInfo) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise UsageError(
                f"cannot write {target}: Parquet files need pyarrow", remedy="pip install 'digitscan[parquet]'"
            ) from error
        self._arrow = pyarrow
        super().__init__(target, run)

    def _type(self, name: str) -> Any:
        if name in _INTEGERS:
            return self._arrow.int32()
        return {"confidence": self._arrow.float64(), "review": self._arrow.bool_()}.get(name, self._arrow.string())

    def begin(self) -> None:
        """Write the file's head."""
        self._schema = self._arrow.schema(
            [(name, self._type(name)) for name in COLUMNS], {"digitscan": self.run.digitscan}
        )
        self._writer = self._arrow.parquet.ParquetWriter(self._file.stream, self._schema)
        self._rows: list[list[object]] = []

    def write(self, outcome: PageOutcome, image: GrayImage | None = None) -> None:
        """Take a page; a full group is written."""
        model = self.run.model.id
        if isinstance(outcome, PageFailure):
            self._rows.append(failure_row(outcome, model))
        else:
            self._rows += [reading_row(outcome, reading, model) for reading in outcome.readings]
        if len(self._rows) >= _GROUP:
            self._flush()

    def _value(self, name: str, value: object) -> object:
        if name in _INTEGERS:
            return None if value == "" else value
        if name == "confidence":
            return float(str(value)) if value != "" else None
        return value == "true" if name == "review" else clean(str(value))

    def _flush(self) -> None:
        columns = [[self._value(name, row[k]) for row in self._rows] for k, name in enumerate(COLUMNS)]
        arrays = [self._arrow.array(column, self._type(name)) for name, column in zip(COLUMNS, columns, strict=True)]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []

    def end(self) -> None:
        """Write what is left, and the file's foot."""
        if self._rows:
            self._flush()
        self._writer.close()
