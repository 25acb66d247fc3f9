"""Places that are named by URL: ``s3://``, ``gs://``, ``file://`` and whatever else fsspec knows."""

from __future__ import annotations

import re
from typing import Any

from digitscan.core.errors import UsageError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(path: str) -> bool:
    """Whether a path names a place by URL; drive letters are no scheme."""
    return bool(_URL.match(path))


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it.

    Raises
    ------
    UsageError
        If fsspec, or what it needs for this kind of URL, is not installed, or the kind is unknown.
    """
    try:
        import fsspec
    except ImportError as error:
        raise UsageError(f"cannot use {url}: URLs need fsspec", remedy="pip install 'digitscan[cloud]'") from error
    try:
        system, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UsageError(f"cannot use {url}: {error}", remedy="install what the message names") from error
    return system, str(path)
