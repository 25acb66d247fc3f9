"""Signals that ask a process to end, and what a run makes of them.

Ctrl-C (SIGINT), SIGTERM and SIGHUP take one way. Everywhere the first of them raises `Interrupted`, so that every
``finally`` runs, and the next one ends the process at once. A run that reads pages opens a `Stop` instead: the first
signal only asks, and pages that are being read get some seconds; the second gives them up; the third ends the process.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self

from digitscan.core.errors import ExitCode

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""Signals that ask to end, as far as the system has them."""
_ONE_WISH_S = 0.3
"""Signals so close together are one wish: a terminal that closes sends SIGHUP twice."""

Handler = Callable[[int, FrameType | None], Any]


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.exit_code = exit_code_of(signum)


def exit_code_of(signum: int) -> ExitCode:
    """The exit status after a signal: 128 and its number, as shells have it."""
    with contextlib.suppress(ValueError):
        return ExitCode(128 + signum)
    return ExitCode.INTERRUPTED


class FirstSignal:
    """What was heard since `raise_on_signals`.

    Attributes
    ----------
    exit_code : ExitCode or None
        The exit status that the first signal asks for; None where there was none, or a `Stop` heard it.
    """

    def __init__(self) -> None:
        self.exit_code: ExitCode | None = None
        self._heard = 0.0

    def _hear(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.exit_code is None:
            self.exit_code, self._heard = exit_code_of(signum), now
            _leave_dead_terminal(signum)
            raise Interrupted(signum)
        if now - self._heard >= _ONE_WISH_S:
            os._exit(self.exit_code)


def raise_on_signals() -> FirstSignal:
    """Have the first signal raise `Interrupted` in the main thread, and a later one end the process at once.

    A signal that is ignored, as ``nohup`` and background jobs of a shell have it, stays ignored.
    """
    first = FirstSignal()
    _take_over(first._hear)
    return first


def _take_over(hear: Handler | signal.Handlers) -> list[tuple[int, Any]]:
    """Set a handler for all signals that are heeded; gives what stood there before."""
    before: list[tuple[int, Any]] = []
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        return before
    for signum in _SIGNALS:
        old = signal.getsignal(signum)
        if old is not None and old is not signal.SIG_IGN:
            before.append((signum, old))
            signal.signal(signum, hear)
    return before


def _give_back(before: list[tuple[int, Any]]) -> None:
    """Set the handlers again that stood there."""
    for signum, old in before:
        signal.signal(signum, old)


def ignore_signals() -> None:
    """Have no signal change the exit status of a process that is about to end."""
    _take_over(signal.SIG_IGN)


def _leave_dead_terminal(signum: int) -> None:
    """After a hang-up, put standard streams whose terminal is gone on the null device: words must not fail a run."""
    if signum != getattr(signal, "SIGHUP", None):
        return
    import termios

    for descriptor in (0, 1, 2):
        try:
            termios.tcgetattr(descriptor)
        except termios.error as error:
            if error.args[0] != errno.EIO:  # a file or a pipe
                continue
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, descriptor)
            os.close(null)


class Stop:
    """The wish that a run should end, while it is open.

    Signals raise nothing meanwhile, so that no page is cut in two on its way into job and results, except inside
    `interruptible`. What a signal brings about is done by a thread: a handler may hold up any lock.

    Parameters
    ----------
    grace_s : float
        Seconds from the first signal until what is being read is given up.
    on_asked : callable, optional
        Called by the thread after the first signal, with what is being read.
    on_now : callable, optional
        Called by the thread when what is being read is given up, as after a second signal; it should end it.
    raises : bool
        The first signal raises `Interrupted` wherever the main thread is.

    Attributes
    ----------
    now : bool
        Nothing is waited for any more.
    """

    def __init__(
        self,
        *,
        grace_s: float = 0.0,
        on_asked: Callable[[list[str]], None] | None = None,
        on_now: Callable[[], None] | None = None,
        raises: bool = False,
    ) -> None:
        self._grace_s, self._on_asked, self._on_now = grace_s, on_asked, on_now
        self._raises = raises
        self.now = False
        self._signum = 0
        self._news: queue.SimpleQueue[int | None] = queue.SimpleQueue()  # a handler may put into it at any moment
        self._busy: dict[int, str] = {}
        self._closed = 0.0
        self._before: list[tuple[int, Any]] = []
        self._thread = threading.Thread(target=self._serve, name="stop", daemon=True)

    @property
    def asked(self) -> bool:
        """Whether the run should end."""
        return self._signum != 0

    @property
    def exit_code(self) -> ExitCode:
        """The exit status of a run that was asked to end."""
        return exit_code_of(self._signum)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal raise `Interrupted` inside: for what waits for others, such as the source of a list."""
        self._raises = True
        try:
            if self.asked:
                raise Interrupted(self._signum)
            yield
        finally:
            self._raises = False

    @contextlib.contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Name what is being read inside, to tell what a run waits for. Any thread may."""
        key = threading.get_ident()
        self._busy[key] = what
        try:
            yield
        finally:
            self._busy.pop(key, None)

    def __enter__(self) -> Self:
        self._thread.start()
        self._before = _take_over(self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = time.monotonic()
        if not self.asked:  # else more signals may come, and what they wish is on its way
            _give_back(self._before)
        self._news.put(None)
        self._thread.join(1.0)

    def _hear(self, signum: int, frame: FrameType | None) -> None:
        if self._closed:
            if time.monotonic() - self._closed >= _ONE_WISH_S:
                os._exit(self.exit_code)
            return
        first = not self.asked
        if first:
            self._signum = signum
            _leave_dead_terminal(signum)
        self._news.put(signum)
        if first and self._raises:
            raise Interrupted(signum)

    def _serve(self) -> None:
        if self._news.get() is None:
            return
        heard = time.monotonic()
        if self._on_asked is not None:
            with contextlib.suppress(OSError):
                self._on_asked(list(self._busy.values()))
        if not self._another(heard, heard + self._grace_s):
            return
        self.now = True
        heard = time.monotonic()
        if self._on_now is not None:
            self._on_now()
        if self._another(heard, float("inf")):
            os._exit(self.exit_code)

    def _another(self, heard: float, until: float) -> bool:
        """Wait for another signal, or the time `until`; False if the run comes to its end before."""
        while True:
            left = until - time.monotonic()
            try:
                news = self._news.get(timeout=max(left, 0.0)) if left < threading.TIMEOUT_MAX else self._news.get()
            except queue.Empty:
                return True
            if news is None:
                return False
            if time.monotonic() - heard >= _ONE_WISH_S:
                return True
