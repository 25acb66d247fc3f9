"""Cheques from end to end: the line at their foot, and amounts and dates written on them.

    python benchmarks/cheques.py [--cheques 300] [--pages 40]

Cheques are drawn from the templates that come with digitscan, on patterned ground, with random banks, accounts and
numbers, filled with digits of MNIST's test file, and damaged as `digitscan form stress` damages pages. Then pages of
three cheques that lie askew, half of them upside down. The shapes of the line are those that the reader looks for, so
print of other makers will do worse. Nothing here trains or tunes anything.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from forms import mnist_writer
from rich.console import Console
from rich.table import Table

from digitscan import Reader
from digitscan.authoring.blank_cheque import lay_askew
from digitscan.authoring.stress import DAMAGES, Pen, Rng, damaged, fill, random_values
from digitscan.core.types import GrayImage, PageOutcome, PageRef, PageResult, RasterPage, State
from digitscan.forms.form_page import FormPage
from digitscan.forms.template import copy_name
from digitscan.pipeline.read import read_raster

LINE = ("routing", "account", "serial")


def values_of(form: FormPage, rng: Rng) -> dict[str, str]:
    """What stands on a cheque: amounts from 5 to 99,999, half of them low."""
    values = random_values(form.template, 1, rng)
    values["amount"] = str(round(float(np.exp(rng.uniform(np.log(500), np.log(9_999_999))))))
    values["date"] = f"{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}{rng.integers(2024, 2028)}"
    return values


def sheet(form: FormPage, pen: Pen, rng: Rng) -> tuple[GrayImage, list[dict[str, str]]]:
    """An A4 page with three cheques that lie askew."""
    truth = [values_of(form, rng) for _ in range(3)]
    page = lay_askew([fill(form, values, pen, rng) for values in truth], rng)
    return np.rot90(page, 2).copy() if rng.random() < 0.5 else page, truth


def singles(reader: Reader, count: int, data: Path | None) -> Iterator[tuple[str, PageOutcome, list[dict[str, str]]]]:
    """Single cheques, forms and damages in turn."""
    assert reader.forms is not None
    writer = mnist_writer(data)
    for number in range(count):
        rng = np.random.default_rng((11, number))
        form = reader.forms.pages[number % len(reader.forms.pages)]
        how = DAMAGES[number // len(reader.forms.pages) % len(DAMAGES)]
        values = values_of(form, rng)
        image = damaged(fill(form, values, writer(rng), rng), how, rng, form.dpi)
        yield how, read(reader, image), [values]


def sheets(reader: Reader, count: int, data: Path | None) -> Iterator[tuple[str, PageOutcome, list[dict[str, str]]]]:
    """Scanned pages of three cheques."""
    assert reader.forms is not None
    writer = mnist_writer(data)
    for number in range(count):
        rng = np.random.default_rng((12, number))
        page, truth = sheet(reader.forms.pages[0], writer(rng), rng)
        yield "three on a page", read(reader, damaged(page, "scan", rng, 200.0)), truth


def read(reader: Reader, image: GrayImage) -> PageOutcome:
    """What a page shows."""
    page = RasterPage(PageRef("cheque"), image)
    return read_raster(
        page, reader.classifier, reader.config, line_recognizer=reader.line_recognizer, forms=reader.forms
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cheques", type=int, default=300)
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument("--data", type=Path, default=None)
    given = parser.parse_args()
    reader = Reader(forms=["us-cheque", "us-business-cheque"], jobs=1)
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for made in (singles(reader, given.cheques, given.data), sheets(reader, given.pages, given.data)):
        for how, outcome, truth in made:
            found = {r.name: r for r in outcome.readings} if isinstance(outcome, PageResult) else {}
            for number, values in enumerate(truth, 1):
                own = {name: found.get(copy_name(name, number)) for name in values}
                count = counts[how]
                count["cheques"] += 1
                count["lines"] += all(own[n] is not None and own[n].text == values[n] for n in LINE)
                count["amounts"] += own["amount"] is not None and own["amount"].text == values["amount"]
                count["dates"] += own["date"] is not None and own["date"].text == values["date"]
                accepted = [n for n, r in own.items() if r is not None and not r.review and r.state is State.VALUE]
                count["accepted"] += len(accepted)
                count["wrong"] += sum(own[n].text != values[n] for n in accepted)
                count["fields"] += len(values)
    names = ("cheques", "line right", "amount right", "date right", "fields accepted", "wrong among those")
    table = Table("damage", *names, title="cheques", title_justify="left")
    for how, c in counts.items():
        n = c["cheques"]
        table.add_row(
            how, str(n), *(f"{c[k] / n:.1%}" for k in ("lines", "amounts", "dates")),
            f"{c['accepted'] / c['fields']:.1%}", str(c["wrong"]),
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
