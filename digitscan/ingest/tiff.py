"""TIFF: all pages, G3 and G4 fax, LZW, deflate, JPEG; one frame in memory at a time."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from digitscan.core.config import IngestConfig
from digitscan.core.errors import IngestError
from digitscan.core.types import PageRef, RasterPage
from digitscan.ingest.image import check_size, our_limit, sane_dpi, to_gray
from digitscan.ingest.source import Source
from digitscan.ingest.tiff_data import tiff_faults

_ERRORS = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError, OverflowError, RuntimeError)


def _image(source: Source) -> Any:
    """The file as Pillow has it: open between pages, since every frame is found by way of the one before."""
    from PIL import Image

    if source.handle is None:
        # From a stream, not a path: Pillow 13 maps uncompressed frames into memory with the sides of a
        # turned frame exchanged, and gives noise. It applies the orientation tag itself.
        source.stream.seek(0)
        source.handle = Image.open(source.stream)
        source.close_handle = source.handle.close
    return source.handle


def count_pages(source: Source) -> int:
    """Frames of a TIFF.

    Raises
    ------
    IngestError
        If the file's directory is damaged.
    """
    try:
        with our_limit, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(getattr(_image(source), "n_frames", 1))
    except _ERRORS as error:
        raise IngestError("the TIFF's directory is damaged", remedy="scan or copy it again") from error


def load(source: Source, ref: PageRef, config: IngestConfig) -> RasterPage:
    """Decode one frame.

    Raises
    ------
    IngestError
        If the frame is damaged or too large; the other frames of the file are not touched by that.
    """
    try:
        with our_limit, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = _image(source)
            image.seek(ref.page_index)
            width, height = image.size
            check_size(width, height, config)
            dpi = sane_dpi(image.info.get("dpi"))
            # A frame's tags are of the page as stored; loading may turn it.
            image.load()
            faults = tiff_faults(image, source.stream)
            page = RasterPage(ref, np.ascontiguousarray(to_gray(image)), dpi, tuple(faults))
    except IngestError:
        raise
    except _ERRORS as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise IngestError(f"the TIFF page is damaged ({text})", remedy="scan or copy it again") from error
    if page.image.size > _LARGE or getattr(image, "n_frames", 1) == 1:
        source.handle = source.close_handle = None
    return page


_LARGE = 50_000_000
"""Pixels of a frame that is not kept in memory until the next one is asked for."""
