"""The learning curve of a run: kept, and written beside the model after every epoch."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from digitscan.core.atomic import write_whole

LOG = "log.csv"
"""Beside the model: one line an epoch, for learning curves."""


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What is known after an epoch."""

    epoch: int
    epochs: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    elapsed_s: float
    remaining_s: float


class History:
    """The learning curve: kept, and written after every epoch."""

    def __init__(self, folder: Path, *, tensorboard: bool) -> None:
        self.reports: list[EpochReport] = []
        self._folder = folder
        self._writer: Any = None
        if tensorboard:
            import tensorflow as tf

            self._writer = tf.summary.create_file_writer(str(folder / "tensorboard"))

    def reload(self) -> None:
        """Take up the curve of a run that was stopped."""
        self.reports = read_log(self._folder)

    def add(self, report: EpochReport) -> None:
        """Keep a report and write the curve."""
        self.reports.append(report)
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(field.name for field in fields(EpochReport))
        writer.writerows(astuple(r) for r in self.reports)
        write_whole(self._folder / LOG, text.getvalue().encode(), own=True)
        if self._writer is not None:
            import tensorflow as tf

            with self._writer.as_default(step=report.epoch):
                for name in ("loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate"):
                    tf.summary.scalar(name, getattr(report, name))

    def best_epoch(self) -> int:
        """The epoch, 1-based, with the best validation accuracy."""
        return max(self.reports, key=lambda r: r.validation_accuracy).epoch


def read_log(folder: Path) -> list[EpochReport]:
    """The learning curve of a model; empty where it has none."""
    if not (folder / LOG).is_file():
        return []
    with (folder / LOG).open(newline="") as stream:
        return [
            EpochReport(int(row["epoch"]), int(row["epochs"]), *(float(row[f.name]) for f in fields(EpochReport)[2:]))
            for row in csv.DictReader(stream)
        ]
