"""The one guard around checks: they advise, so an error in one costs a warning on the page, never its readings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Checks:
    """The checks of one page: what a failing one would have changed stays as it is.

    Attributes
    ----------
    warnings : list of str
        One line for each check that failed, for `Quality.warnings`.
    """

    warnings: list[str] = field(default_factory=list)

    def run(self, name: str, check: Callable[[T], T], subject: T) -> T:
        """Let a check change something; where it raises, `subject` is kept and a warning noted.

        Parameters
        ----------
        name : str
            What is checked, for people: ``totals of the table``.
        check : callable
            Must not change `subject` in place.
        subject : T
            Readings, or whatever else the check weighs.
        """
        try:
            return check(subject)
        except Exception as error:  # noqa: BLE001  (a check advises; Ctrl-C passes through)
            what = " ".join(str(error).split())[:120]
            self.warnings.append(
                f"not checked: {name} ({type(error).__name__}{': ' if what else ''}{what}); "
                "the readings are kept, please report this page as a bug"
            )
            return subject
