"""digitscan: numbers written on paper become data.

>>> import digitscan
>>> for page in digitscan.read("scan.png"):  # doctest: +SKIP
...     print([reading.text for reading in page.readings])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from digitscan.core.version import __version__

if TYPE_CHECKING:
    from digitscan.core.types import PageFailure as PageFailure
    from digitscan.core.types import PageResult as PageResult
    from digitscan.reader import Reader as Reader
    from digitscan.reader import read as read

__all__ = ["PageFailure", "PageResult", "Reader", "__version__", "read"]


def __getattr__(name: str) -> Any:
    # Reading pulls in OpenCV and a network; `import digitscan` alone must stay light.
    if name in ("Reader", "read"):
        from digitscan import reader

        return getattr(reader, name)
    if name in ("PageFailure", "PageResult"):
        from digitscan.core import types

        return getattr(types, name)
    raise AttributeError(f"module 'digitscan' has no attribute {name!r}")
