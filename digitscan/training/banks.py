"""All that training draws from, loaded once: sets of digits, faces of print, and shapes of both for any pen.

A bank can be packed into one file and taken to a machine that has neither the sets nor the fonts.
"""

from __future__ import annotations

import lzma
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from digitscan.core.atomic import write_whole
from digitscan.core.errors import DataError
from digitscan.training.drawing import GlyphBank
from digitscan.training.faces import Face, font_sources, load_faces
from digitscan.training.handwriting import drawn_sources
from digitscan.training.pen_shapes import Shape
from digitscan.training.penmanship import PenBank
from digitscan.training.sources import GlyphSource, candidate_folders, load_set

HELD_OUT = "swiss48_held_out"


class Material(NamedTuple):
    """Sources of glyphs, without those of fonts; held-out writers; and faces."""

    sources: list[GlyphSource]
    held_out: GlyphSource | None
    faces: list[Face]

    def all_sources(self) -> list[GlyphSource]:
        """With the digits, letters and marks of faces, and the digits that are drawn by rule."""
        return [*self.sources, *font_sources(self.faces), *drawn_sources()]


class Banks(NamedTuple):
    """What crops and lines are drawn from, and lines of writers that train nothing."""

    glyphs: GlyphBank
    pens: PenBank
    held_out: PenBank


def gather(sources: Sequence[GlyphSource], data: Path | None) -> Material:
    """Sets as given, and what of held-out writers and fonts is found."""
    folder = next((place / "digits" for _, place in candidate_folders(data) if (place / "digits").is_dir()), None)
    held = load_set(folder, HELD_OUT) if folder is not None and (folder / "swiss48.npz").is_file() else None
    return Material(list(sources), held, load_faces())


def make_banks(material: Material) -> Banks:
    """Banks of a material; half a minute goes into thinning its glyphs."""
    glyphs = GlyphBank.of(material.all_sources())
    pens = PenBank.of(glyphs, material.faces)
    held = pens
    if material.held_out is not None:
        source = replace(material.held_out, weight=1.0)
        held = PenBank.of(GlyphBank.of([source]), material.faces)._replace(allographs=pens.allographs)
    return Banks(replace(glyphs, fields=_fields(pens)), pens, held)


def _fields(pens: PenBank) -> dict[str, list[list[Shape]]]:
    """The fields of all pools of a source together, by digit."""
    return {name: [[s for pool in pools for s in pool.fields[d]] for d in range(10)] for name, pools in pens.named()}


def pack(material: Material, file: Path) -> None:
    """Write a material to one compressed file."""
    write_whole(file, lzma.compress(pickle.dumps(tuple(material)), preset=1))


def unpack(file: Path) -> Material:
    """Read what `pack` wrote. The file must be one's own: it is a pickle, which can hold programs.

    Raises
    ------
    DataError
        If it is missing or damaged.
    """
    try:
        sources, held_out, faces = pickle.loads(lzma.decompress(file.read_bytes()))
    except (OSError, lzma.LZMAError, pickle.UnpicklingError, EOFError, AttributeError, ValueError) as error:
        raise DataError(f"cannot read the packed bank {file}: {error}", remedy="pack it again") from error
    return Material(sources, held_out, faces)
