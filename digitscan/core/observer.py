"""Who looks on while a page is read: called with a stage's name and what it made."""

from __future__ import annotations

from collections.abc import Callable

Observer = Callable[[str, object], None]
"""Called with a stage's name and what it made, for `digitscan segment --debug`."""


def unobserved(stage: str, product: object) -> None:
    """Look at nothing."""
