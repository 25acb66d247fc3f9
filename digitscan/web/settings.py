"""Limits and manners of the server."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How the server behaves.

    Attributes
    ----------
    host, port
        Where it listens. Beyond this machine it wants a token.
    token : str
        What requests must bring; empty asks for none.
    max_bytes : int
        Largest request.
    max_pages : int
        Pages read of one upload.
    max_pixels : int
        Largest page.
    page_timeout_s : float
        Seconds that a page of an upload may take.
    at_once : int
        Requests that are read at the same time; more wait, and are refused when too many wait.
    waiting : int
        Requests that may wait.
    keep_s : float
        Seconds after which an upload's pictures are deleted.
    keep : int
        Uploads that are kept at the most.
    templates : tuple of Path
        Forms that uploads may be filled from.
    job : Path or None
        A job to review.
    max_job_bytes : int
        Largest upload that is read as a job, packed and unpacked.
    most_files : int
        Files in one job.
    most_jobs : int
        Jobs that are kept at a time.
    keep_jobs_s : float
        Seconds after which a job that was read is deleted.
    together : int
        Digits of different requests that are classified in one call at the most.
    names : tuple of str
        Host names that it answers to beside this machine's own, when a proxy stands before it.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str = ""
    max_bytes: int = 30_000_000
    max_pages: int = 20
    max_pixels: int = 60_000_000
    page_timeout_s: float = 60.0
    at_once: int = 2
    waiting: int = 32
    keep_s: float = 900.0
    keep: int = 40
    templates: tuple[Path, ...] = field(default_factory=tuple)
    job: Path | None = None
    max_job_bytes: int = 1_000_000_000
    most_files: int = 5_000
    most_jobs: int = 20
    keep_jobs_s: float = 86_400.0
    together: int = 512
    names: tuple[str, ...] = ()

    @property
    def local(self) -> bool:
        """Whether it listens on this machine alone."""
        return self.host in LOCAL


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)
