"""Many machines: node processes on this one, of which one is killed in the middle of a run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from digitscan.batch import cluster as on_cluster
from digitscan.batch.cluster import read_pages_on_cluster
from digitscan.batch.local import read_pages
from digitscan.batch.worker_pool import Setup
from digitscan.core.config import Config
from digitscan.core.errors import UsageError
from digitscan.core.types import PageFailure, PageRef, PageResult
from digitscan.pipeline.items import PageRead
from digitscan.recognition.registry import locate
from digitscan.recognition.runtime import Classifier
from tests.conftest import SAMPLES

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'digitscan[ray]'")
QUICK = Config(imaging={"orientation": "0"}, recognition={"whole_lines": False})  # type: ignore[arg-type]
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray warns of itself


@pytest.fixture(scope="module")
def nodes() -> Iterator[object]:
    """A head and two more nodes, a core each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 200_000_000})
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=200_000_000)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def sources(folder: Path, copies: int) -> list[str]:
    paths = []
    for k in range(copies):
        for name in ("cheque.jpg", "register.tif"):
            paths.append(str(shutil.copy(SAMPLES / name, folder / f"{k:02}-{name}")))
    (folder / "broken.png").write_bytes(b"")
    return [*paths[:3], str(folder / "broken.png"), *paths[3:]]


def test_a_node_lost_in_mid_run_changes_nothing(nodes, tmp_path: Path, classifier: Classifier) -> None:  # type: ignore[no-untyped-def]
    paths = sources(tmp_path, 12)
    ours = [page.outcome for page in read_pages(paths, classifier, QUICK)]
    before: dict[str, PageResult] = {
        o.ref.path: o for o in ours if isinstance(o, PageResult) and o.ref.path.endswith("05-cheque.jpg")
    }
    asked: list[str] = []

    def known(ref: PageRef) -> PageResult | None:
        asked.append(ref.path)
        return before.get(ref.path)

    found: list[int] = []
    stream = read_pages_on_cluster(
        paths, QUICK, Setup(QUICK, model=str(locate(""))), address=nodes.address, on_found=found.append, known=known
    )
    theirs: list[PageRead] = [next(stream)]
    nodes.remove_node(nodes.worker_nodes and next(iter(nodes.worker_nodes)), allow_graceful=False)
    theirs += stream
    assert [page.outcome for page in theirs] == ours and len(ours) == 12 * 3 + 1
    assert isinstance(theirs[4].outcome, PageFailure) and theirs[4].outcome.stage == "ingest"
    assert found[-1] == len(ours) and len(asked) == 36


def test_pages_come_in_order_chunk_by_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_order() -> Iterator[tuple[int, PageRead]]:
        for place in (3, 0, 2):
            yield place, PageRead(PageFailure(PageRef(str(place)), "ingest", "E", ""), None)

    settled = {1: PageFailure(PageRef("1"), "ingest", "E", "")}
    pages = on_cluster._in_order(4, settled, out_of_order())  # type: ignore[arg-type]
    assert [page.outcome.ref.path for page in pages] == ["0", "1", "2", "3"]


def test_a_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def refuse(**_: object) -> None:
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(UsageError, match="nobody answers"):
        on_cluster.connect("10.0.0.1:6379")
