"""A worker process of `digitscan.batch.worker_pool`: takes tasks from standard input, answers on standard output."""

from __future__ import annotations

import atexit
import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

from digitscan.batch.worker_pool import Setup
from digitscan.core.processes import end_own_group, read_frame


class _Desk:
    """What a worker has loaded."""

    def __init__(self, setup: Setup, say: Callable[[str], None]) -> None:
        import cv2

        from digitscan.core.memory import limit_memory
        from digitscan.recognition.runtime import Classifier, LineRecognizer

        limit_memory(setup.config.batch.worker_memory_mb)
        cv2.setNumThreads(1)
        self.config = setup.config
        self.forms = None
        if setup.templates:
            from digitscan.forms.formset import FormSet

            self.forms = FormSet(setup.templates, setup.config)
        given = {"device": "cpu", "threads": setup.threads}
        self.classifier = Classifier(setup.model, **given) if setup.model else None  # type: ignore[arg-type]
        self.line_recognizer = None
        if setup.line_model:
            check = setup.config.recognition.line_check_model
            self.line_recognizer = LineRecognizer(setup.line_model, **given, check=check)  # type: ignore[arg-type]
        self._say = say

    def do(self, task: str, given: tuple[Any, ...]) -> object:
        from digitscan.pipeline import read

        if task == "list":
            (source,) = given
            return list(read.pages_of(source, self.config))
        if task == "prepare":
            (ref,) = given
            return read.prepare(ref, self.config, self.forms, self._say)
        if self.classifier is None:
            raise RuntimeError("this worker was not told to read")
        ref, keep_image = given
        ready = read.prepare(ref, self.config, self.forms, self._say)
        return read.read_ready([ready], self.classifier, self.config, self.line_recognizer, keep_image)[0]


def _started(setup: Setup, say: Callable[[str], None]) -> tuple[_Desk | None, tuple[str, str, str] | None]:
    from digitscan.core.errors import DigitscanError

    try:
        return _Desk(setup, say), None
    except DigitscanError as error:
        return None, (type(error).__name__, error.message, error.remedy)


class Inbox:
    """Tasks in the order in which they come.

    A thread takes them from the pipe while the last one is worked on. So it knows at once when the other end closes:
    when nobody waits for an answer any more, whatever the worker and its children do is in vain, and they end.
    """

    def __init__(self, asks: BinaryIO) -> None:
        self._asks = asks
        self._tasks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unanswered = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._take, name="inbox", daemon=True).start()

    def _take(self) -> None:
        # Bytes alone: what they stand for would import modules in the middle of another import.
        while (frame := read_frame(self._asks)) is not None:
            with self._lock:
                self._unanswered += 1
            self._tasks.put(frame)
        with self._lock:
            if self._unanswered:
                end_own_group()
        self._tasks.put(None)

    def next(self) -> tuple[str, tuple[Any, ...]] | None:
        """Wait for a task and what it is about; None when there will be none."""
        frame = self._tasks.get()
        return None if frame is None else pickle.loads(frame)  # our own parent's words

    def answered(self) -> None:
        """Say that the answer to the last task is on its way."""
        with self._lock:
            self._unanswered -= 1


def serve(inbox: Inbox, answers: BinaryIO) -> None:
    """Answer tasks until nobody asks any more."""

    def send(kind: str, value: object) -> None:
        pickle.dump((kind, value), answers, protocol=5)
        answers.flush()

    desk: _Desk | None = None
    answer: object
    while (asked := inbox.next()) is not None:
        task, given = asked
        if task == "start":
            (setup,) = given
            desk, answer = _started(setup, lambda stage: send("stage", stage))
        elif desk is not None:
            answer = desk.do(task, given)
        else:
            raise RuntimeError("a worker's first task is to start")
        inbox.answered()
        send("answer", answer)


def _heed_nothing(signum: int, frame: object) -> None:
    """Signals are the parent's business; as a handler, and not ignored, so that our children heed them."""


def main() -> None:
    """Run a worker for the process that asks."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _heed_nothing)
    # Not sys.stdin itself: an interpreter that goes down over an error would wait for its lock, and abort.
    inbox = Inbox(os.fdopen(os.dup(0), "rb"))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    # Libraries load while the parent still makes up its mind.
    import digitscan.pipeline.read
    import digitscan.recognition.runtime  # noqa: F401

    try:
        serve(inbox, answers)
    except BrokenPipeError:  # the parent is gone
        os._exit(0)
    # What is kept on disk is cleared up; taking libraries apart would only keep the parent waiting.
    atexit._run_exitfuncs()
    os._exit(0)


if __name__ == "__main__":
    main()
