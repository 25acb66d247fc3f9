"""Forms from end to end: fields read on damaged pages, rules, registration, and drafted templates.

    python benchmarks/forms.py [--pages 300] [--part fields|rules|registration|draft]

Forms: the three of ``samples/forms``. Hands: digits of MNIST's test file, one writer a page being digits of like slant
is not known there, so every page mixes hands. Nothing here trains or tunes anything.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan import Reader
from digitscan.authoring.stress import Forecast, Pen, Rng, fill, random_values, stress_pages
from digitscan.core.config import Config
from digitscan.forms.formset import FormSet
from digitscan.forms.registration import best_fit, point_to_source
from digitscan.forms.template import MM_PER_INCH
from digitscan.forms.zones import draft_zones
from digitscan.imaging.rules import print_mask
from digitscan.pipeline.read import read_raster
from digitscan.training.drawing import trim, warp
from digitscan.training.sources import load_mnist, tight

FORMS = Path(__file__).parent.parent / "samples" / "forms"
NAMES = ("clinic", "delivery", "meter")


def mnist_writer(data: Path | None) -> Callable[[Rng], Pen]:
    """Writers whose digits are MNIST's test digits, each page with a pen of its own."""
    images, labels = load_mnist("test", data)
    rows = [np.flatnonzero(labels == digit) for digit in range(10)]

    def writer(rng: Rng) -> Pen:
        level, squeeze = float(rng.uniform(0.35, 0.5)), float(rng.uniform(0.85, 1.05))

        def pen(digit: int, height: int, rng: Rng) -> NDArray[np.float32]:
            glyph = tight(images[int(rng.choice(rows[digit]))])
            assert glyph is not None
            ink = warp(glyph, max(8, height), rng, slant=0.0, threshold=level, aspect=(squeeze, squeeze), strength=0.15)
            return np.asarray(trim(ink), np.float32)

        return pen

    return writer


def score(reader: Reader, pages: int, seed: int, data: Path | None, *, plain: bool = False) -> Forecast:
    """Read filled pages; with `plain`, pages are filled under the rules but read without them."""
    ruled = FormSet([FORMS / f"{name}.toml" for name in NAMES], Config())
    forms = _without_rules(ruled) if plain else ruled
    forecast = Forecast()
    for page, how, form, values in stress_pages(ruled.pages, pages, seed, mnist_writer(data)):
        outcome = read_raster(
            page, reader.classifier, reader.config, line_recognizer=reader.line_recognizer, forms=forms
        )
        forecast.count(
            how, outcome, values, {cell.name: f"{form.template.form.name}.{cell.zone.name}" for cell in form.cells}
        )
    return forecast


def _without_rules(forms: FormSet) -> FormSet:
    """The same forms whose fields know their lengths alone."""
    from digitscan.forms.constraints import constraint_of

    bare = FormSet.__new__(FormSet)
    bare.templates = forms.templates
    pages = []
    for form in forms.pages:
        template = form.template.model_copy(update={"rule": ()})
        keep: dict[str, Any] = {"check": None, "weights": (), "pattern": "", "range": None, "allowed": ()}
        limits = tuple(constraint_of(cell.zone.model_copy(update=keep)) for cell in form.cells)
        pages.append(dataclasses.replace(form, template=template, constraints=limits))
    bare.pages = tuple(pages)
    return bare


def _warped(image: NDArray[np.uint8], rng: Rng, kind: str) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A page moved in one way, and the map from its old pixels to its new ones."""
    h, w = image.shape
    middle = np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 1.0]])
    back = np.array([[1, 0, w / 2], [0, 1, h / 2], [0, 0, 1.0]])
    if kind in ("rotated", "upside down"):
        angle = np.deg2rad(rng.uniform(-15, 15) + (180 if kind == "upside down" else 0))
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
        matrix = back @ turn @ middle
    elif kind == "scaled":
        matrix = np.diag([*[float(np.exp(rng.uniform(np.log(0.5), np.log(2.0))))] * 2, 1.0])
    elif kind == "perspective":
        there = np.array([[0, 0], [w, 0], [w, h], [0, h]]) + rng.uniform(-0.07, 0.07, (4, 2)) * min(w, h)
        matrix = cv2.getPerspectiveTransform(
            np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32), there.astype(np.float32)
        )
    else:
        matrix = np.eye(3)
    corners = cv2.perspectiveTransform(np.array([[[0, 0], [w, 0], [w, h], [0, h]]], np.float64), matrix)[0]
    low = corners.min(axis=0) - 20
    size = np.ceil(corners.max(axis=0) - low + 20).astype(int)
    matrix = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1.0]]) @ matrix
    ground = 255 if rng.random() < 0.5 else int(rng.integers(60, 160))
    out = cv2.warpPerspective(image, matrix, tuple(size.tolist()), flags=cv2.INTER_AREA, borderValue=ground)
    if kind == "cropped":
        cut = round(0.2 * out.shape[0])
        top = bool(rng.random() < 0.5)
        out = out[cut:] if top else out[:-cut]
        matrix = np.array([[1, 0, 0], [0, 1, -cut if top else 0], [0, 0, 1.0]]) @ matrix
    if kind == "covered":
        side = int(np.sqrt(0.2 * out.size))
        y, x = int(rng.integers(out.shape[0] - side)), int(rng.integers(out.shape[1] - side))
        out[y : y + side, x : x + side] = int(rng.integers(0, 255))
    noise = rng.normal(0, 4, out.shape)
    return np.asarray(np.clip(out + noise, 0, 255), np.uint8), np.asarray(matrix, np.float64)


KINDS = ("rotated", "upside down", "scaled", "perspective", "cropped", "covered")


def registration(pages: int, data: Path | None) -> dict[str, Any]:
    """Share of fields within 2 mm of their true place, by how the page was moved; and wrong forms taken for right."""
    forms = FormSet([FORMS / f"{name}.toml" for name in NAMES], Config())
    writer = mnist_writer(data)
    result: dict[str, Any] = {}
    for kind in KINDS:
        near = total = refused = 0
        worst = 0.0
        for number in range(pages):
            rng = np.random.default_rng((99, KINDS.index(kind), number))
            form = forms.pages[number % len(forms.pages)]
            clean = fill(form, random_values(form.template, form.page, rng), writer(rng), rng)
            image, matrix = _warped(clean, rng, kind)
            fit = best_fit(image, [f.blank for f in forms.pages])
            corners = np.array(
                [
                    [c.box[0] + dx * c.box[2], c.box[1] + dy * c.box[3]]
                    for c in form.cells
                    for dx in (0, 1)
                    for dy in (0, 1)
                ]
            )
            true = cv2.perspectiveTransform(corners[None], matrix)[0]
            # A field that is cut off cannot be found: those on the picture count.
            seen = ((true >= 0) & (true < image.shape[::-1])).all(axis=1).reshape(-1, 4).all(axis=1)
            total += int(seen.sum())
            if fit is None or forms.pages[fit[0]] is not form:
                refused += 1
                continue
            found = point_to_source(corners, fit[1].registration, form.blank.image.shape)
            scale = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
            off = np.linalg.norm(found - true, axis=1).reshape(-1, 4).max(axis=1) / scale / (form.dpi / MM_PER_INCH)
            near += int((off[seen] <= 2.0).sum())
            worst = max(worst, float(off[seen].max(initial=0.0)))
        result[kind] = {
            "fields": total,
            "within_2mm": round(near / max(total, 1), 4),
            "refused_pages": refused,
            "worst_mm": round(worst, 2),
        }
    wrong = taken = 0
    for number in range(pages):
        rng = np.random.default_rng((98, number))
        form = forms.pages[number % len(forms.pages)]
        others = [f for f in forms.pages if f is not form]
        page = fill(form, random_values(form.template, form.page, rng), writer(rng), rng)
        image, _ = _warped(page, rng, KINDS[number % 4])
        wrong += 1
        taken += best_fit(image, [f.blank for f in others]) is not None
    result["wrong_forms"] = {"pages": wrong, "accepted": taken}
    return result


def draft() -> dict[str, Any]:
    """Zones that ``form new`` finds on the blanks, against their templates."""
    result = {}
    forms = FormSet([FORMS / f"{name}.toml" for name in NAMES], Config())
    for form in forms.pages:
        zones = draft_zones(print_mask(form.blank.image), form.dpi)
        hit, used = 0, set()
        truth = list(form.template.zones(form.page))
        for zone in truth:
            cells = [c.box for c in form.cells if c.zone.name == zone.name]
            x0, y0 = min(b[0] for b in cells), min(b[1] for b in cells)
            x1, y1 = max(b[0] + b[2] for b in cells), max(b[1] + b[3] for b in cells)
            for k, found in enumerate(zones):
                over = max(0.0, min(x1, found.box.right) - max(x0, found.box.x)) * max(
                    0.0, min(y1, found.box.bottom) - max(y0, found.box.y)
                )
                whole = (x1 - x0) * (y1 - y0) + found.box.width * found.box.height - over
                if k not in used and over > 0.6 * whole:
                    used.add(k)
                    hit += 1
                    break
        result[form.template.form.name] = {"zones": len(truth), "found": hit, "invented": len(zones) - len(used)}
    return result


def main() -> None:
    """Measure and print as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--part", choices=("all", "fields", "rules", "registration", "draft"), default="all")
    given = parser.parse_args()

    def table(forecast: Forecast) -> dict[str, Any]:
        scores = {**forecast.by_damage, **forecast.by_field}
        shown = {
            name: dataclasses.asdict(s) | {"share": round(s.right / max(s.fields, 1), 4)} for name, s in scores.items()
        }
        return {"pages": forecast.pages, "failed": len(forecast.failed), "scores": shown}

    out: dict[str, Any] = {}
    if given.part in ("all", "draft"):
        out["draft"] = draft()
    if given.part in ("all", "registration"):
        out["registration"] = registration(max(6, given.pages // 10), given.data)
    if given.part in ("all", "fields", "rules"):
        reader = Reader()
        if given.part != "rules":
            out["fields"] = table(score(reader, given.pages, given.seed, given.data))
        if given.part != "fields":
            out["without_rules"] = table(score(reader, given.pages, given.seed, given.data, plain=True))
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
