"""Empty cheques drawn from their template: what a stress test fills in, and what a template's zones are shown on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import GrayImage
from digitscan.forms.cells import FormCell
from digitscan.forms.form_page import FormPage
from digitscan.forms.template import MM_PER_INCH, Template
from digitscan.micr.match import MARGIN, draw_glyph
from digitscan.micr.standard import (
    BASE_INCH,
    HEIGHT,
    MODULE_INCH,
    ON_US,
    TRANSIT,
    TRANSIT_POSITION,
    WIDTH,
    inches_from_right,
)

_PAPER = 0.95
_PRINT = 75


@dataclass(frozen=True, slots=True, eq=False)
class EmptyCheque:
    """A cheque that nobody has filled in.

    Attributes
    ----------
    image : (H, W) uint8
        Paper is white.
    cells : tuple of FormCell
        Where its fields are to be written; printed boxes where the template says that there are some.
    """

    image: GrayImage
    cells: tuple[FormCell, ...]


def line_of(template: Template, values: Mapping[str, str]) -> str:
    """The line at a cheque's foot that holds some values: bank, account and number as on cheques of persons."""
    parts = {f.part: values.get(f.name, "") for f in template.field if f.kind == "micr"}
    bank = f"{TRANSIT}{parts.get('transit') or '000000000'}{TRANSIT}"
    account = f"{parts.get('account') or ''}{ON_US}"
    serial = parts.get("serial") or ""
    wide = template.form.size is not None and template.form.size[0] > 180
    if wide and serial:  # cheques of firms have their number before the bank's
        return f"{ON_US}{serial}{ON_US} {bank}{account}"
    return f"{bank}{account} {serial}".rstrip()


def draw_cheque(form: FormPage, values: Mapping[str, str], rng: np.random.Generator) -> EmptyCheque:
    """An empty cheque with the line that some values give.

    Parameters
    ----------
    form : FormPage
        Of a template for cheques.
    values : mapping
        Of the fields that are part of the line.
    rng : Generator
        Chooses what differs between banks: the ground, and where exactly the boxes stand.
    """
    size = form.template.form.size
    assert size is not None  # the template has seen to it
    scale = form.dpi / MM_PER_INCH
    width, height = (round(side * scale) for side in size)
    page = np.asarray(_ground(width, height, rng) * 255, np.uint8)
    cells = []
    for cell in form.cells:
        if cell.zone.kind == "micr":
            cells.append(cell)
            continue
        own = _inside(cell, rng) if cell.zone.find == "frame" else cell
        x, y, w, h = own.box
        if cell.zone.find == "frame":
            corners = (round(x), round(y)), (round(x + w), round(y + h))
            cv2.rectangle(page, *corners, _PRINT, max(1, round(0.3 * scale)))
            at, pen = (round(x - 0.75 * h), round(y + 0.8 * h)), max(1, round(0.35 * scale))
            cv2.putText(page, "$", at, cv2.FONT_HERSHEY_DUPLEX, h / 32, _PRINT, pen, cv2.LINE_AA)
        else:
            foot = round(y + h)
            cv2.line(page, (round(x), foot), (round(x + w), foot), _PRINT, max(1, round(0.2 * scale)))
        cells.append(own)
    for share, label in ((0.47, "PAY TO THE ORDER OF"), (0.62, "")):
        y = round(share * height)
        cv2.line(page, (round(0.04 * width), y), (round(0.62 * width), y), _PRINT, max(1, round(0.2 * scale)))
        cv2.putText(
            page, label, (round(0.04 * width), y - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.045 * scale, _PRINT, 1, cv2.LINE_AA
        )
    printed = np.asarray(page, np.float32) / np.float32(255)
    print_line(printed, line_of(form.template, values), form.dpi)
    return EmptyCheque(np.asarray(printed * 255, np.uint8), tuple(cells))


def print_line(page: NDArray[np.float32], text: str, dpi: float) -> None:
    """Print a line of E-13B at the foot of a cheque, in place, where the standard has it.

    Parameters
    ----------
    page : (H, W) float32
        0 ink to 1 paper; its lower right corner is the cheque's.
    text : str
        The left transit symbol comes to stand at its place, or else the last character at the right end.
    dpi : float
    """
    module = dpi * MODULE_INCH
    first = TRANSIT_POSITION + text.index(TRANSIT) if TRANSIT in text else len(text)
    for k, symbol in enumerate(text):
        if symbol == " ":
            continue
        right = page.shape[1] - inches_from_right(first - k) * dpi
        x = round(right - (WIDTH + MARGIN) * module)
        y = round(page.shape[0] - BASE_INCH * dpi - (HEIGHT + MARGIN) * module)
        glyph = draw_glyph(symbol, module)
        if x < 0 or x + glyph.shape[1] > page.shape[1]:
            continue
        part = page[y : y + glyph.shape[0], x : x + glyph.shape[1]]
        np.minimum(part, 1 - 0.92 * glyph[: part.shape[0]], out=part)


def lay_askew(cheques: Sequence[GrayImage], rng: np.random.Generator) -> GrayImage:
    """Up to three cheques on the glass of a scanner, none of them quite straight: an A4 page at 200 dpi."""
    page = np.full((2339, 1700), 250, np.uint8)
    for number, cheque in enumerate(cheques):
        turn = cv2.getRotationMatrix2D((cheque.shape[1] / 2, cheque.shape[0] / 2), float(rng.uniform(-2, 2)), 1.0)
        turn[:, 2] += 120 + rng.uniform(0, 150), 80 + number * 740
        laid = cv2.warpAffine(cheque, turn, (page.shape[1], page.shape[0]), borderValue=250)
        page = np.minimum(page, np.asarray(laid, np.uint8))
    return page


def _ground(width: int, height: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Paper with the waves of security print, paler than any ink."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    strength = float(rng.uniform(0.0, 0.09))
    length, angle = float(rng.uniform(9, 40)), float(rng.uniform(0, np.pi))
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    waves = np.sin(2 * np.pi * (across + 6 * np.sin(along / 37)) / length)
    page = _PAPER - strength * (0.5 + 0.5 * waves)
    page[height - round(0.22 * height) :] = _PAPER  # the band of the line is kept clear
    return np.asarray(page, np.float32)


def _inside(cell: FormCell, rng: np.random.Generator) -> FormCell:
    """A printed box somewhere in the zone where it is looked for."""
    x, y, w, h = cell.box
    wide, high = w * float(rng.uniform(0.72, 0.86)), h * float(rng.uniform(0.55, 0.75))
    left = x + w - wide - float(rng.uniform(0.02, 0.08)) * w
    return replace(cell, box=(left, y + float(rng.uniform(0.08, 0.92)) * (h - high), wide, high))
