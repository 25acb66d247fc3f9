"""A worker process of `digitscan.batch.worker_pool`: takes tasks from standard input, answers on standard output."""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from digitscan.batch.worker_pool import Setup


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


def serve(asks: BinaryIO, answers: BinaryIO) -> None:
    """Answer tasks until nobody asks any more."""

    def send(kind: str, value: object) -> None:
        pickle.dump((kind, value), answers, protocol=5)
        answers.flush()

    desk: _Desk | None = None
    while True:
        try:
            task, given = pickle.load(asks)  # our own parent's words
        except EOFError:
            return
        if task == "start":
            (setup,) = given
            desk, trouble = _started(setup, lambda stage: send("stage", stage))
            send("answer", trouble)
        elif desk is not None:
            send("answer", desk.do(task, given))


def main() -> None:
    """Run a worker: the process that asks is the parent, and signals are its business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    # Libraries load while the parent still makes up its mind.
    import digitscan.pipeline.read
    import digitscan.recognition.runtime  # noqa: F401

    try:
        serve(sys.stdin.buffer, answers)
    except BrokenPipeError:  # the parent is gone
        os._exit(0)
    # What is kept on disk is cleared up; taking libraries apart would only keep the parent waiting.
    atexit._run_exitfuncs()
    os._exit(0)


if __name__ == "__main__":
    main()
