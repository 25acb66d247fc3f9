"""Train `linenet-3` or `digitnet-2` on a GPU in minutes, by plain PyTorch.

    python -m digitscan.training.torch_train pack bank.xz [--data DIR]
    python -m digitscan.training.torch_train linenet-3 --bank bank.xz --minutes 9 --out runs
    python -m digitscan.training.torch_train adopt runs/linenet-3

`pack` gathers sets and fonts into one file, for a machine that has neither; `adopt` makes a model of the weights that
a run leaves, on a machine that has Keras. Needs PyTorch (``pip install "digitscan[torch]"``).
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from digitscan.core.errors import DataError
from digitscan.core.types import CROP_SIZE
from digitscan.recognition.lines import COLUMN_STEP, LINE_HEIGHT, PAPER_AFTER, spell
from digitscan.recognition.normalize import normalize_all
from digitscan.training.adopt import RUN_FILE, WEIGHTS_FILE, adopt
from digitscan.training.banks import Banks, make_banks, pack, unpack
from digitscan.training.fit import schedule
from digitscan.training.lines import WrittenLine, line_samples
from digitscan.training.recipes import TrainingConfig
from digitscan.training.stream import line_batch, training_material
from digitscan.training.torch_augment import augment_crops, augment_lines
from digitscan.training.torch_feed import TEXT_LENGTH, WIDTHS, Feed, Pools, crop_chunks, line_chunks
from digitscan.training.torch_networks import (
    DIGIT_TEACHER,
    LINE_TEACHER,
    DigitNet,
    LineNet,
    keras_weights,
)

Loss = Callable[[Tensor], Tensor]
"""Mean loss of a batch, of its logits."""
_UNSEEN_SEED = 7_000_003
_HELD_LINES = 1200
"""Lines of writers that train nothing, to validate with."""
_NOTE_S = 45.0
"""Seconds between notes of a run, each with the weights so far."""


@dataclass(frozen=True, slots=True)
class Run:
    """Settings of a run; saved beside its weights."""

    arch: str
    minutes: float = 9.0
    processes: int = 14
    learning_rate: float = 2e-3
    weight_decay: float = 2e-2
    columns: int = 140_000
    """Columns of a batch of lines, padding included; fewer lines where they are long."""
    crops: int = 2048
    averaging: float = 0.9995
    distill: float = 1.0
    """Weight of the wide network's answers beside the truth; 0 trains none."""
    raw_share: float = 0.12
    """Share of a batch of crops that is MNIST as published, only normalized."""
    warm_s: float = 12.0
    """Seconds of drawing before the first step."""
    seed: int = 1
    room: float = 1.0
    """Share of the pools' usual size: 1 takes some 30 GB of the device."""


class Learner:
    """A network, the wide one that teaches it, their optimizers, and the average of the small one's weights."""

    def __init__(self, small: nn.Module, wide: nn.Module | None, run: Run, device: torch.device) -> None:
        layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
        self.networks = [n.to(device, memory_format=layout) for n in (small, wide) if n is not None]
        self.average = copy.deepcopy(self.networks[0]).eval()
        self._run, self.device = run, device
        self._optimizers = [
            torch.optim.AdamW(_groups(n, run.weight_decay), lr=run.learning_rate, fused=device.type == "cuda")
            for n in self.networks
        ]
        self.steps = 0
        pairs = zip(self.average.state_dict().values(), self.networks[0].state_dict().values(), strict=True)
        floats = [(kept, new) for kept, new in pairs if kept.dtype.is_floating_point]
        self._kept, self._new = [kept for kept, _ in floats], [new for _, new in floats]

    def step(self, inputs: Tensor, loss_of: Loss, progress: float) -> list[Tensor]:
        """One step of each network at `progress` 0..1 of the run; gives their losses."""
        rate = schedule(progress, self._run.learning_rate)
        losses: list[Tensor] = []
        answers: Tensor | None = None
        for k in reversed(range(len(self.networks))):  # the teacher first
            network, optimizer = self.networks[k], self._optimizers[k]
            network.train()
            for group in optimizer.param_groups:
                group["lr"] = rate
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                logits = network(inputs)
            logits = logits.float()
            loss = own = loss_of(logits)
            if answers is not None and progress > 0.08:
                told = functional.kl_div(logits.log_softmax(-1), answers, reduction="none", log_target=True).sum(-1)
                loss = own + self._run.distill * _weight_of(told, answers)
            answers = logits.detach().log_softmax(-1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimizer.step()
            losses.append(own.detach())
        self.steps += 1
        share = min(self._run.averaging, (1 + self.steps) / (20 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(self._kept, self._new, 1 - share)
        return losses


def _weight_of(told: Tensor, answers: Tensor) -> Tensor:
    """Mean divergence a sample. Along a line most columns are blank beyond doubt: the sum over columns counts."""
    if told.ndim == 1:
        return told.mean()
    return told.sum(0).mean()


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights, which decay, and what does not: norms and biases."""
    some = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": some, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]


def _save(learner: Learner, run: Run, folder: Path, log: list[dict[str, float]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    weights = keras_weights(learner.average)
    temporary = folder / "weights.tmp.npz"
    np.savez(temporary, **{f"{k:04d}": w for k, w in enumerate(weights)})  # type: ignore[arg-type]
    temporary.replace(folder / WEIGHTS_FILE)
    (folder / RUN_FILE).write_text(json.dumps({"run": asdict(run), "log": log}, indent=1))


def train_lines(run: Run, banks: Banks, folder: Path, device: torch.device) -> Learner:
    """Train `linenet-3` until the time is up, and leave its weights in a folder."""
    torch.manual_seed(run.seed)
    held = sorted(line_samples(banks.held_out, _HELD_LINES, _UNSEEN_SEED), key=lambda s: s.line.shape[1])
    sizes = np.array([max(run.columns // (w + PAPER_AFTER), 4) for w in WIDTHS])
    rng = np.random.default_rng(run.seed)

    def next_batch(pools: Pools) -> tuple[Tensor, Loss]:
        seen = np.array([n if pools.held(k) >= 8 else 0 for k, n in enumerate(pools.seen)], float)
        chances = seen / sizes
        pool = int(rng.choice(len(WIDTHS), p=chances / chances.sum()))
        lines, texts = pools.batch(pool, int(sizes[pool]))
        targets = texts.long()
        lengths = (targets > 0).sum(1)

        def loss(logits: Tensor) -> Tensor:
            whole = torch.full_like(lengths, logits.shape[0])
            shares = logits.log_softmax(-1)
            return functional.ctc_loss(shares, targets, whole, lengths, reduction="none", zero_infinity=True).mean()

        return augment_lines(lines, device), loss

    shapes = [(LINE_HEIGHT, w) for w in WIDTHS]
    feed = Feed(line_chunks, banks, run.processes, run.seed)
    teacher = LineNet(LINE_TEACHER) if run.distill else None
    pools = Pools(shapes, TEXT_LENGTH, _rooms(run), device)
    learner = Learner(LineNet(), teacher, run, device)
    return _loop(run, learner, feed, pools, next_batch, lambda network: lines_right(network, held, device), folder)


def train_digits(run: Run, banks: Banks, folder: Path, device: torch.device) -> Learner:
    """Train `digitnet-2` until the time is up, and leave its weights in a folder."""
    torch.manual_seed(run.seed)
    raw, raw_labels, held = _plain_digits(banks)
    feed = Feed(crop_chunks, banks, run.processes, run.seed)
    plain, plain_labels = torch.from_numpy(raw).to(device), torch.from_numpy(raw_labels).long().to(device)
    count = int(run.crops * run.raw_share)

    def next_batch(pools: Pools) -> tuple[Tensor, Loss]:
        crops, targets = pools.batch(0, run.crops - count)
        rows = torch.randint(len(plain), (count,), device=device)
        labels = torch.cat([targets[:, 0].long(), plain_labels[rows]])

        def loss(logits: Tensor) -> Tensor:
            return functional.cross_entropy(logits, labels, label_smoothing=0.02)

        return augment_crops(torch.cat([crops, plain[rows]]), device), loss

    teacher = DigitNet(DIGIT_TEACHER) if run.distill else None
    pools = Pools([(CROP_SIZE, CROP_SIZE)], 1, [max(int(4e6 * run.room), 4000)], device)
    learner = Learner(DigitNet(), teacher, run, device)
    return _loop(run, learner, feed, pools, next_batch, lambda network: digits_right(network, *held, device), folder)


def _loop(
    run: Run,
    learner: Learner,
    feed: Feed,
    pools: Pools,
    next_batch: Callable[[Pools], tuple[Tensor, Loss]],
    validate: Callable[[nn.Module], float],
    folder: Path,
) -> Learner:
    """Learn from what is drawn until the time is up; weights and log are written every so often."""
    started = noted = time.monotonic()
    log: list[dict[str, float]] = []
    total, taken = torch.zeros(2, device=learner.device), 0

    def note() -> None:
        losses = (total / max(taken, 1)).tolist()
        if not math.isfinite(losses[0]):
            raise DataError(f"the loss is {losses[0]} after {learner.steps} steps", remedy="lower --learning-rate")
        entry = {
            "elapsed_s": round(time.monotonic() - started, 1),
            "steps": learner.steps,
            "loss": round(losses[0], 4),
            "teacher_loss": round(losses[1], 4),
            "drawn": sum(pools.seen),
            "validation": round(validate(learner.average), 5),
        }
        log.append(entry)
        sys.stderr.write(json.dumps(entry) + "\n")
        _save(learner, run, folder, log)

    try:
        while time.monotonic() - started < run.warm_s or not any(pools.held(k) >= 8 for k in range(len(pools.seen))):
            feed.take(pools.add, 0.5)
        while (progress := (time.monotonic() - started) / (60 * run.minutes)) < 1 or not learner.steps:
            feed.take(pools.add)
            inputs, loss = next_batch(pools)
            losses = learner.step(inputs, loss, min(progress, 1.0))
            total += torch.stack([losses[-1], losses[0]])
            taken += 1
            if time.monotonic() - noted > _NOTE_S:
                note()
                noted = time.monotonic()
                total.zero_()
                taken = 0
        note()
    finally:
        feed.close()
    return learner


def _rooms(run: Run) -> list[int]:
    shares = dict(zip(WIDTHS, (1.5, 1.8, 1.6, 1.2, 0.9, 0.9, 0.4, 0.25, 0.12), strict=True))
    return [max(int(run.room * shares[w] * 1e6), 400) for w in WIDTHS]


def lines_right(network: nn.Module, lines: list[WrittenLine], device: torch.device) -> float:
    """Share of whole lines right, signs and all."""
    right = 0
    network.eval()
    with torch.no_grad():
        for start in range(0, len(lines), 100):
            part = lines[start : start + 100]
            inputs = torch.from_numpy(line_batch(part)[0][..., 0]).unsqueeze(1).to(device)
            answers = network(inputs).argmax(-1).T.cpu().numpy()
            right += sum(
                spell(a[: s.line.shape[1] // COLUMN_STEP + 4]) == s.text for a, s in zip(answers, part, strict=True)
            )
    return right / len(lines)


def _plain_digits(banks: Banks) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """MNIST's training digits as published, and the held-out writers' digits to validate with; all normalized."""
    clean = banks.glyphs.clean
    raw = normalize_all(clean.glyphs)
    pairs = [(s.image, d) for pools in banks.held_out.pools for p in pools for d in range(10) for s in p.plain[d]]
    pairs = pairs[:: max(1, len(pairs) // 3000)]
    held = normalize_all([image for image, _ in pairs]), np.array([d for _, d in pairs], np.uint8)
    return raw, clean.labels, held


def digits_right(network: nn.Module, crops: np.ndarray, labels: np.ndarray, device: torch.device) -> float:
    """Share of digits right among ten."""
    network.eval()
    with torch.no_grad():
        inputs = torch.from_numpy(crops).to(device).unsqueeze(1).float() / 255
        answers = torch.cat([network(part)[:, :10].argmax(1) for part in inputs.split(1000)])
    return float((answers.cpu().numpy() == labels).mean())


def main() -> None:
    """Pack, train or adopt."""
    cv2.setNumThreads(1)  # before any work: its threads would not survive a fork
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", help="pack, adopt, linenet-3 or digitnet-2")
    parser.add_argument("file", type=Path, nargs="?", help="the packed bank, or a run's folder")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--bank", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--name", default="")
    for field in ("minutes", "learning_rate", "distill", "warm_s", "room", "averaging", "weight_decay"):
        parser.add_argument(f"--{field.replace('_', '-')}", type=float)
    for field in ("processes", "columns", "crops", "seed"):
        parser.add_argument(f"--{field}", type=int)
    given = parser.parse_args()
    if given.what == "adopt":
        material = unpack(given.bank) if given.bank else None
        adopt(given.file, given.name or given.file.name, given.data, material)
        return
    if given.what == "pack" or given.bank is None:
        material = training_material(TrainingConfig(), given.data)
        if given.what == "pack":
            pack(material, given.file)
            return
    else:
        material = unpack(given.bank)
    names = set(Run.__dataclass_fields__)
    settings = {k: v for k, v in vars(given).items() if k in names and v is not None}
    run = Run(arch=given.what, **settings)
    banks = make_banks(material)
    device = torch.device("cuda" if torch.cuda.device_count() else "cpu")
    # Lines come in many widths, and trying each kernel for each costs minutes; crops have one shape.
    torch.backends.cudnn.benchmark = given.what == "digitnet-2"
    torch.set_float32_matmul_precision("high")
    train = {"linenet-3": train_lines, "digitnet-2": train_digits}[given.what]
    train(run, banks, given.out / (given.name or given.what), device)


if __name__ == "__main__":
    main()
