"""Networks in PyTorch equal those in Keras; a run from drawing to a model on disk, in one step on a CPU."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digitscan.core.errors import DataError, ModelError
from digitscan.recognition.architectures import build
from digitscan.training import banks as banks_of
from digitscan.training import tasks
from digitscan.training.adopt import adopt
from digitscan.training.banks import Banks, Material, make_banks, pack, unpack
from digitscan.training.drawing import GlyphBank
from digitscan.training.faces import matrix_faces
from digitscan.training.handwriting import drawn_sources
from digitscan.training.lines import line_samples
from digitscan.training.penmanship import PenBank

torch = pytest.importorskip("torch")

from digitscan.training import torch_train  # noqa: E402
from digitscan.training.torch_feed import WIDTHS, Pools, as_chunk, crop_chunks, line_chunks  # noqa: E402
from digitscan.training.torch_networks import NETWORKS, keras_weights  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def banks(bank: GlyphBank) -> Banks:
    few = replace(bank, digits=[s.only(np.arange(len(s.glyphs)) % 5 == 0) for s in bank.digits])
    pens = PenBank.of(few, matrix_faces())
    return Banks(few, pens, pens)


@pytest.mark.parametrize(("name", "shape"), [("digitnet-2", (3, 28, 28, 1)), ("linenet-3", (2, 32, 128, 1))])
def test_a_network_answers_alike_in_both_libraries(name: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
    same = build(name, 11 if name == "digitnet-2" else 20)
    same.set_weights(keras_weights(network))
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    with torch.no_grad():
        logits = network(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    answers = same.predict_on_batch(images)
    if name == "digitnet-2":
        assert np.allclose(answers, logits.softmax(1).numpy(), atol=1e-5)
    else:
        assert np.allclose(answers, logits.permute(1, 0, 2).numpy(), atol=1e-4)


def test_lines_lie_in_the_narrowest_pool_and_come_back(banks: Banks) -> None:
    chunks = line_chunks(banks, 3, 30)
    assert sum(len(chunk.samples) for chunk in chunks) >= 25
    assert all(chunk.samples.shape[2] == WIDTHS[chunk.pool] for chunk in chunks)
    line = np.full((32, 72), 9, np.uint8)
    pools = Pools([(32, w) for w in WIDTHS], 40, [2] * len(WIDTHS), CPU)
    chunk = as_chunk(1, [(line, "12.5")] * 3)
    pools.add(chunk)
    pools.add(chunk)  # two fit: the oldest give way
    lines, targets = pools.batch(1, 4)
    assert pools.held(1) == 2 and lines.shape == (4, 32, 96)
    assert int(lines[0, :, :72].min()) == 9 and int(lines[0, :, 72:].max()) == 0
    assert targets[0, :5].tolist() == [2, 3, 11, 6, 0]


@pytest.mark.parametrize("name", ["linenet-3", "digitnet-2"])
def test_a_run_leaves_weights_that_become_a_model(
    name: str, banks: Banks, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(banks_of, "drawn_sources", lambda: drawn_sources(24))
    monkeypatch.setattr(torch_train, "_HELD_LINES", 12)
    monkeypatch.setattr(tasks, "line_samples", lambda bank, count, seed: line_samples(bank, 12, seed))
    monkeypatch.setattr(torch_train, "line_chunks", lambda banks, seed: line_chunks(banks, seed, 60))
    monkeypatch.setattr(torch_train, "crop_chunks", lambda banks, seed: crop_chunks(banks, seed, 60))
    run = torch_train.Run(name, minutes=0.001, processes=1, warm_s=0.0, columns=900, crops=32, room=1e-4)
    train = torch_train.train_lines if name == "linenet-3" else torch_train.train_digits
    learner = train(run, banks, tmp_path / name, CPU)
    assert learner.steps == 1
    told = json.loads((tmp_path / name / "run.json").read_text())
    assert told["run"]["arch"] == name and told["log"][-1]["drawn"] > 0
    card = adopt(tmp_path / name, "mine", data, Material(banks.glyphs.digits, None, matrix_faces()))
    assert card.id == "mine" and card.architecture == name and card.reads_lines == (name == "linenet-3")
    assert (tmp_path / name / "model.keras").is_file() and card.training["steps"] == 1


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no finished run"):
        adopt(tmp_path, "mine")


def test_a_packed_bank_comes_back(bank: GlyphBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banks_of, "drawn_sources", lambda: drawn_sources(24))
    few = [s.only(np.arange(len(s.glyphs)) < 20) for s in bank.digits]
    pack(Material(few, None, matrix_faces()), tmp_path / "bank.xz")
    again = unpack(tmp_path / "bank.xz")
    assert again.held_out is None and len(again.faces) == len(matrix_faces())
    assert all(np.array_equal(a, b) for a, b in zip(again.sources[0].glyphs, few[0].glyphs, strict=True))
    banks = make_banks(again)
    assert [len(own) for own in banks.glyphs.fields["mnist-train"]].count(0) < 10
    (tmp_path / "bank.xz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"bank\.xz"):
        unpack(tmp_path / "bank.xz")
