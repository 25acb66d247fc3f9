"""Every setting of a run, with its default. Unknown keys are errors.

The command line wins over the environment, the environment over a file, a file over these defaults.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from digitscan.core.errors import UsageError
from digitscan.core.files import MAX_TOML, parse_toml, read_regular
from digitscan.core.types import Layout


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class IngestConfig(_Section):
    """How sources become pages."""

    pages: str = ""
    """Pages to read of files with several, such as ``1,3-5``; empty means all."""
    pdf_dpi: Annotated[int, Field(ge=72, le=1200)] = 300
    """Resolution at which vector and mixed PDF pages are rasterized."""
    pdf_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that rasterizing one PDF page may take."""
    max_pixels: Annotated[int, Field(gt=0)] = 200_000_000
    """Largest page that is decoded, in pixels; larger ones fail with a clear message."""


class ImagingConfig(_Section):
    """How a page becomes ink."""

    binarization: Literal["adaptive", "otsu", "sauvola"] = "adaptive"
    polarity: Literal["auto", "dark-on-light", "light-on-dark"] = "auto"
    orientation: Literal["auto", "0", "90", "180", "270"] = "auto"
    """Degrees clockwise that the page is turned before reading."""
    deskew: bool = True
    rectify: bool = True
    """Undo the perspective of a photographed page."""
    remove_rules: bool = True
    reduce: bool = True
    """Read large pages at half their resolution where the writing on them is large enough."""


class DecodeConfig(_Section):
    """How posteriors become text."""

    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.30
    """Strings below this probability are left out on pages; a single line or digit is always given."""
    review_below: Annotated[float, Field(ge=0, le=1)] = 0.90
    """Readings below this confidence are marked for review."""
    alternatives: Annotated[int, Field(ge=0, le=20)] = 3
    """Rival texts to give with each reading."""


class RecognitionConfig(_Section):
    """Which network reads, and where."""

    model: str = ""
    """Model id or folder; empty means the shipped default."""
    whole_lines: bool = True
    """Show numbers that are not beyond doubt to a second reader, which sees them whole."""
    line_model: str = ""
    """Model of that second reader; empty means the shipped one."""
    line_check_model: str = "linenet-3"
    """Another model of whole lines, trained on other drawings, which is asked for each number too; empty asks none."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    batch_size: Annotated[int, Field(ge=0)] = 0
    """Crops in one call; 0 chooses by device."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """In which Keras computes; weights, and the last layer, keep float32. The light runtime has float32 alone."""


class BatchConfig(_Section):
    """How many pages are read; nothing here changes what is read."""

    isolated: bool = True
    """The command line reads pages in processes of their own: one that crashes or hangs costs its page alone."""
    page_timeout_s: Annotated[float, Field(ge=0)] = 180.0
    """Seconds that a page may take in such a process before it is given up; 0 sets no limit."""
    stop_grace_s: Annotated[float, Field(ge=0)] = 5.0
    """Seconds that pages which are being read get to finish after Ctrl-C, SIGTERM or SIGHUP."""
    worker_memory_mb: Annotated[int, Field(ge=0)] = 1280
    """Memory in MB that such a process, and what it starts, may each take (Linux); 0 sets no limit."""


class Config(_Section):
    """A whole run."""

    layout: Layout = Layout.AUTO
    ingest: IngestConfig = IngestConfig()
    imaging: ImagingConfig = ImagingConfig()
    decode: DecodeConfig = DecodeConfig()
    recognition: RecognitionConfig = RecognitionConfig()
    batch: BatchConfig = BatchConfig()

    def origin(self) -> dict[str, Any]:
        """What can change a result, as plain values."""
        return self.model_dump(mode="json", exclude={"batch"})

    def digest(self) -> str:
        """Hash of what can change a result: sha256 of the sorted JSON, first 16 hexadecimal digits."""
        text = json.dumps(self.origin(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _from_environment() -> dict[str, Any]:
    """Read ``DIGITSCAN_LAYOUT`` and ``DIGITSCAN_<SECTION>__<KEY>``; values are TOML or plain text."""
    found: dict[str, Any] = {}
    for name, raw in sorted(os.environ.items()):
        if name == "DIGITSCAN_LAYOUT":
            found["layout"] = raw
        elif name.startswith("DIGITSCAN_") and "__" in name:
            section, _, key = name.removeprefix("DIGITSCAN_").lower().partition("__")
            try:
                value = parse_toml(f"value = {raw}")["value"]
            except ValueError:
                value = raw
            found.setdefault(section, {})[key] = value
    return found


def load_config(path: Path | None = None, overrides: dict[str, Any] | None = None) -> Config:
    """Build a configuration: `overrides` over the environment over the file at `path` over the defaults.

    Parameters
    ----------
    path : Path, optional
        A TOML file with the keys of `Config`.
    overrides : dict, optional
        Nested settings, as from a command line.

    Raises
    ------
    UsageError
        If the file cannot be read, a key is unknown or a value is out of range.
    """
    settings: dict[str, Any] = {}
    if path is not None:
        try:
            settings = parse_toml(read_regular(path, MAX_TOML).decode("utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read configuration {path}: {error}", remedy="give a TOML file") from error
    settings = _merge(_merge(settings, _from_environment()), overrides or {})
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"configuration {where}: {first['msg']}", remedy="see docs/configuration.md") from error
