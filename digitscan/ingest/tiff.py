"""TIFF: all pages, G3 and G4 fax, LZW, deflate, JPEG; one frame in memory at a time."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from digitscan.core.config import IngestConfig
from digitscan.core.errors import IngestError
from digitscan.core.types import PageRef, RasterPage
from digitscan.ingest.image import check_size, sane_dpi, to_gray

_ERRORS = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError)


def count_pages(path: str) -> int:
    """Frames of a TIFF.

    Raises
    ------
    IngestError
        If the file's directory is damaged.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return int(getattr(image, "n_frames", 1))
    except _ERRORS as error:
        raise IngestError("the TIFF's directory is damaged", remedy="scan or copy it again") from error


def load(ref: PageRef, config: IngestConfig) -> RasterPage:
    """Decode one frame.

    Raises
    ------
    IngestError
        If the frame is damaged or too large; the other frames of the file are not touched by that.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # From a stream, not a path: Pillow 13 maps uncompressed frames into memory with the sides of a
            # turned frame exchanged, and gives noise. It applies the orientation tag itself.
            with Path(ref.path).open("rb") as stream, Image.open(stream) as image:
                image.seek(ref.page_index)
                check_size(*image.size, config)
                dpi = sane_dpi(image.info.get("dpi"))
                image.load()
                return RasterPage(ref, np.ascontiguousarray(to_gray(image)), dpi)
    except IngestError:
        raise
    except (*_ERRORS, Image.DecompressionBombError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise IngestError(f"the TIFF page is damaged ({text})", remedy="scan or copy it again") from error
