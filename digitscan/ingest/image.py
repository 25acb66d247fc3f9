"""Single images: PNG, JPEG, BMP, WebP, PNM to grey pages."""

from __future__ import annotations

import hashlib
import io
import struct
import threading
import warnings
from typing import TYPE_CHECKING

import cv2
import numpy as np

from digitscan.core.config import IngestConfig
from digitscan.core.errors import IngestError
from digitscan.core.types import GrayImage, PageRef, RasterPage
from digitscan.ingest.soundness import jpeg_faults, png_faults
from digitscan.ingest.source import Source

if TYPE_CHECKING:
    from PIL.Image import Image

_PLAIN = {("PNG", "L"), ("JPEG", "L"), ("JPEG", "RGB"), ("BMP", "L"), ("BMP", "RGB"), ("WEBP", "RGB")}
"""Formats and modes that OpenCV decodes to grey at once, as it should."""

_MOST_BYTES = 64_000_000
"""Bytes of a file beyond those that its pixels may take: what it may carry besides."""


def check_size(width: int, height: int, config: IngestConfig) -> None:
    """Refuse pages that would not fit in memory, before they are decoded.

    Raises
    ------
    IngestError
        If the page has more pixels than ``config.max_pixels``.
    """
    if width < 1 or height < 1:
        raise IngestError(f"page of {width} x {height} pixels", remedy="scan it again")
    if width * height > config.max_pixels:
        raise IngestError(
            f"page of {width} x {height} pixels is over the limit of {config.max_pixels:,} pixels",
            remedy="scan at a lower resolution, or raise ingest.max_pixels in the configuration",
        )


def sane_dpi(value: object) -> float | None:
    """A resolution tag as a number between 50 and 2400, else None."""
    try:
        dpi = float(value[0] if isinstance(value, tuple) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return round(dpi, 1) if 50 <= dpi <= 2400 else None


def to_gray(image: Image) -> GrayImage:
    """Any Pillow image as grey with white paper; alpha lies on white, 16 bits are scaled, not clipped."""
    from PIL import Image as PillowImage

    mode = image.mode
    if mode == "1":
        return np.asarray(image, dtype=np.uint8) * np.uint8(255)
    if mode in ("I;16", "I;16B", "I;16L", "I"):
        deep = np.asarray(image).astype(np.int64)
        top = 65535 if mode != "I" or deep.max(initial=0) > 255 else 255
        return np.asarray(np.clip(deep * 255 // top, 0, 255), dtype=np.uint8)
    if mode == "F":
        real = np.nan_to_num(np.asarray(image, dtype=np.float64))
        top_real = 1.0 if real.max(initial=0) <= 1.0 else 255.0 if real.max() <= 255 else 65535.0
        return np.asarray(np.clip(real * (255.0 / top_real), 0, 255), dtype=np.uint8)
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = PillowImage.new("RGBA", image.size, (255, 255, 255, 255))
        image = PillowImage.alpha_composite(white, image)
    return np.asarray(image.convert("RGB").convert("L") if mode != "L" else image, dtype=np.uint8)


class _OurLimit:
    """Pillow's own limit of pixels off while anyone is inside: ours is `check_size`, which the user can set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._kept: int | None = None

    def __enter__(self) -> None:
        from PIL import Image as PillowImage

        with self._lock:
            if self._inside == 0:
                self._kept, PillowImage.MAX_IMAGE_PIXELS = PillowImage.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        from PIL import Image as PillowImage

        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                PillowImage.MAX_IMAGE_PIXELS = self._kept


our_limit = _OurLimit()


def load(source: Source, ref: PageRef, config: IngestConfig) -> RasterPage:
    """Decode an image file; its bytes are read once, and hashed as they are read.

    Raises
    ------
    IngestError
        If it is truncated, damaged, too large or unreadable.
    """
    from PIL import Image as PillowImage
    from PIL import ImageFile, ImageOps, UnidentifiedImageError

    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        with our_limit, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source.stream.seek(0)
            with PillowImage.open(source.stream) as image:
                check_size(*image.size, config)
            source.stream.seek(0)
            # Not as much as may be asked for: that would be set aside at once.
            raw = source.stream.read(min(source.size, _MOST_BYTES + 8 * config.max_pixels))
            source.know(hashlib.sha256(raw).hexdigest())
            with PillowImage.open(io.BytesIO(raw)) as image:
                check_size(*image.size, config)
                dpi = sane_dpi(image.info.get("dpi"))
                faults = _faults(raw, image.format)
                # Pillow decodes a whole PNG to look for EXIF behind its pixels; most have none.
                tagged = image.format != "PNG" or b"eXIf" in raw
                turned = tagged and image.getexif().get(0x0112, 1) not in (0, 1)
                ended = image.format != "JPEG" or b"\xff\xd9" in raw[-4096:]
                if (image.format, image.mode) in _PLAIN and not turned and ended and "transparency" not in image.info:
                    decoded = _decode(raw)
                    if decoded is not None and decoded.shape == image.size[::-1] and not _half(raw, image.format or ""):
                        return RasterPage(ref, decoded, dpi, faults)
                image.load()
                whole = ImageOps.exif_transpose(image)
                return RasterPage(ref, np.ascontiguousarray(to_gray(whole)), dpi, faults)
    except IngestError:
        raise
    except UnidentifiedImageError as error:
        raise IngestError("the image's header is damaged", remedy="scan or copy it again") from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        OverflowError,
        struct.error,
        PillowImage.DecompressionBombError,
    ) as error:
        text = " ".join(str(error).split())
        cut = "truncated" in text.lower() or "broken" in text.lower() or "not processed" in text.lower()
        message = "the image is truncated" if cut else f"the image is damaged ({text or type(error).__name__})"
        raise IngestError(message, remedy="scan or copy it again") from error


def _decode(raw: bytes) -> GrayImage | None:
    try:
        decoded = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # OpenCV has limits of its own
        return None
    return None if decoded is None else np.asarray(decoded, np.uint8)


def _faults(raw: bytes, image_format: str | None) -> tuple[str, ...]:
    if image_format == "PNG":
        return tuple(png_faults(raw))
    return tuple(jpeg_faults(raw)) if image_format in ("JPEG", "MPO") else ()


def _half(raw: bytes, image_format: str) -> bool:
    """Whether a file stops in the middle: OpenCV pads such pages with grey and says nothing."""
    return image_format == "PNG" and b"IEND" not in raw[-64:]
