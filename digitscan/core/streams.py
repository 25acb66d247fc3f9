"""The three standard streams: there even where the caller closed them, and never a reason for a run to fail."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, TextIO, cast


class Lenient:
    """A stream for what people are told: what cannot be written, since a disk is full or nobody reads, is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or drop."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or drop."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def secure_standard_streams() -> None:
    """Open what is closed of descriptors 0, 1 and 2 on the null device, and make standard error lenient.

    A file that is opened later would get such a number else, and what is printed would go into it.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
    # Python leaves None where a descriptor was closed when it began.
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = cast(TextIO, Lenient(sys.stderr))
