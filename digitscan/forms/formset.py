"""The forms that pages may be filled from: a page is laid on its blank, and its fields are cut out.

RasterPage ─ FormSet.prepare ─> FilledPage (crops) ─ classifier ─> posteriors; then `digitscan.forms.finish`
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from digitscan.core.config import Config
from digitscan.core.errors import IngestError, UsageError
from digitscan.core.types import FormMatch, Layout, RasterPage, Transform
from digitscan.forms.cheques import Cheques, find_cheques
from digitscan.forms.cut import Cutter
from digitscan.forms.form_page import FilledPage
from digitscan.forms.load import load_form_page
from digitscan.forms.registration import best_fit
from digitscan.forms.template import Template, load_template
from digitscan.imaging.geometry import is_light_on_dark
from digitscan.recognition.normalize import normalize_all
from digitscan.regions.prepared import PreparedPage


class FormSet:
    """Forms that pages may be filled from; finds the right one, and cuts its fields out.

    Parameters
    ----------
    templates : sequence of Template or path
    config : Config

    Raises
    ------
    UsageError
        If a template or a blank makes no sense.
    """

    def __init__(self, templates: Sequence[Template | str | Path], config: Config) -> None:
        loaded = [t if isinstance(t, Template) else load_template(t) for t in templates]
        names = [t.form.name for t in loaded]
        if len(set(names)) < len(names):
            raise UsageError("two templates have the same form name", remedy="give each form a name of its own")
        self.templates = tuple(loaded)
        try:
            self.pages = tuple(load_form_page(t, p, config) for t in loaded for p in range(1, t.form.pages + 1))
        except IngestError as error:
            raise UsageError(f"blank: {error.message}", remedy=error.remedy) from error

    @property
    def digest(self) -> str:
        """Which forms these are: their hashes."""
        return "+".join(f"{t.form.name}:{t.digest}" for t in self.templates)

    def prepare(self, page: RasterPage) -> FilledPage:
        """Lay a page on its blank, and make its fields into crops.

        Raises
        ------
        IngestError
            If the page is filled from none of the forms.
        """
        image = page.image
        if is_light_on_dark(image):
            image = np.asarray(cv2.bitwise_not(image), np.uint8)
        blanks = [(form, form.blank) for form in self.pages if form.blank is not None]
        fit = best_fit(image, [blank for _, blank in blanks]) if blanks else None
        of_cheques = [form for form in self.pages if form.blank is None]
        if fit is None and of_cheques and (cheques := find_cheques(image, of_cheques)) is not None:
            return _filled_cheques(page, cheques)
        if fit is None and not blanks:
            raise IngestError(
                "shows no line of magnetic characters (E-13B) with a bank's number",
                remedy="scan the whole cheque, at 150 dpi or more",
            )
        if fit is None:
            names = ", ".join(t.form.name for t in self.templates)
            raise IngestError(f"is no page of {names}", remedy="check the scan, or give this form's template too")
        number, laid = fit
        form = blanks[number][0]
        match = FormMatch(form.template.form.name, form.page, round(laid.registration.quality, 3))
        to_source = np.asarray(np.linalg.inv(laid.registration.to_blank), np.float64)
        cutter = Cutter()
        slots = cutter.cut(laid.image, form)
        return FilledPage(_prepared(page, to_source, cutter), form, tuple(slots), match)


def _filled_cheques(page: RasterPage, cheques: Cheques) -> FilledPage:
    match = FormMatch(cheques.form.template.form.name, 1, round(cheques.quality, 3))
    to_source = next(slot.to_source for slot in cheques.slots if slot.to_source is not None)
    return FilledPage(_prepared(page, to_source, cheques.cutter), cheques.form, cheques.slots, match)


def _prepared(page: RasterPage, to_source: Transform, cutter: Cutter) -> PreparedPage:
    """What was cut out of a page, as the classifier takes it."""
    down = to_source @ np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    across = (down[:2, 1] / down[2, 1]) - (down[:2, 0] / down[2, 0])
    return PreparedPage(
        ref=page.ref,
        width=page.image.shape[1],
        height=page.image.shape[0],
        dpi=page.dpi,
        skew_degrees=float(-np.degrees(np.arctan2(across[1], across[0]))),
        to_source=to_source,
        contrast=1.0,
        layout=Layout.PAGE,
        strings=tuple(cutter.strings),
        crops=normalize_all(cutter.inks),
        table_found=False,
    )
