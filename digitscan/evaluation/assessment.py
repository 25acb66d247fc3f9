"""Models put to the test: joins the data that training knows, the classifier, and the figures of evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from digitscan.core.errors import DataError
from digitscan.core.types import NOT_A_DIGIT, Crops, Posteriors
from digitscan.evaluation.compare import ModelRow
from digitscan.evaluation.metrics import measure, reject_figures
from digitscan.evaluation.report import Evaluation
from digitscan.recognition.architectures import ARCHITECTURES
from digitscan.recognition.normalize import normalize_all
from digitscan.recognition.registry import MODEL_FILE, ModelCard, locate
from digitscan.recognition.runtime import Classifier
from digitscan.training.boxed import load_boxed
from digitscan.training.classical import SUMMARIES, fit_classical
from digitscan.training.history import read_log
from digitscan.training.loaders import load_own
from digitscan.training.sources import GlyphSource, candidate_folders, load_mnist, load_set, set_names

Announce = Callable[[str], None]


class TestSet(NamedTuple):
    """Crops to measure with: (N, 28, 28) uint8 and (N,) uint8."""

    name: str
    crops: Crops
    labels: NDArray[np.uint8]


def test_sets(data: Path | None = None, own: Sequence[str] = ()) -> Iterator[TestSet]:
    """Every set that can be found, one in memory at a time.

    MNIST's test file comes first, then the sets beside it, digits cut from pages by their boxes, and the user's own.

    Raises
    ------
    DataError
        If nothing at all was found.
    """
    found = False
    try:
        images, labels = load_mnist("test", data)
    except DataError:
        if not own:
            raise
    else:
        found = True
        yield TestSet("mnist-test", normalize_all(list(images)), labels)
    places = [place for _, place in candidate_folders(data)]
    folder = next((place / "digits" for place in places if (place / "digits").is_dir()), None)
    for name in set_names(folder) if folder else ():
        assert folder is not None
        yield _as_test_set(load_set(folder, name))
    for place in places:
        for boxes in sorted(place.glob("*/boxes.csv")):
            yield _as_test_set(load_boxed(boxes.parent))
    for entry in own:
        found = True
        yield _as_test_set(load_own(entry))
    if not found:
        raise DataError("there is nothing to measure with", remedy="give --data or --add")


def _as_test_set(source: GlyphSource) -> TestSet:
    return TestSet(source.name, normalize_all(source.glyphs), source.labels)


def _note(card: ModelCard, name: str) -> str:
    """What one must know before one believes a figure."""
    trained = any(source["name"] == name for source in card.data)
    return "trained on: says nothing of new writers" if trained else "never trained on"


def evaluate(
    model: str = "",
    *,
    data: Path | None = None,
    own: Sequence[str] = (),
    announce: Announce = lambda name: None,
) -> Evaluation:
    """Measure one model on every set that is found.

    Parameters
    ----------
    model : str
        Id or folder; empty is the default.
    data : Path, optional
        Folder with MNIST and the sets beside it; found as training finds it.
    own : sequence of str
        Further sets, as `digitscan.training.loaders.load_own` takes them.
    announce : callable
        Called with the name of each set before it is measured.
    """
    classifier = Classifier(model)
    card = classifier.card
    sets, crops, labels, posteriors = [], {}, {}, {}
    digits, others = [], []
    for test in test_sets(data, own):
        announce(test.name)
        read = classifier.classify(test.crops)
        figures = measure(test.name, test.labels, read, note=_note(card, test.name))
        sets.append(figures)
        shown = figures.worst[:100]  # only what the report shows stays in memory
        crops[test.name], labels[test.name], posteriors[test.name] = test.crops[shown], test.labels[shown], read[shown]
        digits.append(read[test.labels != NOT_A_DIGIT])
        others.append(read[test.labels == NOT_A_DIGIT])
    strangers = np.concatenate(others)
    reject = reject_figures(np.concatenate(digits), strangers) if len(strangers) and len(card.classes) > 10 else None
    curve = [asdict(report) for report in read_log(locate(model))]
    return Evaluation(
        model=msgspec.to_builtins(card),
        sets=sets,
        reject=reject,
        curve=curve,
        crops=crops,
        labels=labels,
        posteriors=posteriors,
    )


def _speed(classify: Callable[[Crops], Posteriors], count: int = 2048) -> float:
    """Crops a second in batches of 1024: the best of three, after one that loads everything."""
    crops = np.random.default_rng(0).integers(0, 255, (count, 28, 28), dtype=np.uint8)
    classify(crops[:1024])
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        for start in range(0, count, 1024):
            classify(crops[start : start + 1024])
        seconds.append(time.perf_counter() - started)
    return count / min(seconds)


def _accuracies(classify: Callable[[Crops], Posteriors], sets: Sequence[TestSet]) -> dict[str, float]:
    shares = {}
    for test in sets:
        read = classify(test.crops)[:, :NOT_A_DIGIT].argmax(axis=1)
        shares[test.name] = float((read == test.labels).mean())
    return shares


def compare(
    models: Sequence[str],
    classical: Sequence[str] = (),
    *,
    data: Path | None = None,
    own: Sequence[str] = (),
    classical_samples: int = 0,
    announce: Announce = lambda name: None,
) -> Iterator[ModelRow]:
    """Measure models one after the other on the same digits, in the same run.

    Parameters
    ----------
    models : sequence of str
        Ids or folders of trained networks.
    classical : sequence of str
        Of `digitscan.training.classical.SUMMARIES`; they are fitted now.
    data, own
        As for `evaluate`; sets of what is no digit are left out.
    classical_samples : int
        Training digits for the classical methods; 0 takes all.
    announce : callable
        Called with each model's name before it is measured.
    """
    sets = [test for test in test_sets(data, own) if (test.labels != NOT_A_DIGIT).all()]
    for model in models:
        announce(model or "default model")
        classifier = Classifier(model, batch_size=1024)
        card = classifier.card
        known = ARCHITECTURES.get(card.architecture)
        yield ModelRow(
            id=card.id,
            summary=f"{known.summary}; {known.source}" if known else card.architecture,
            numbers=card.parameters,
            file_bytes=(locate(model) / MODEL_FILE).stat().st_size,
            training_s=float(card.training.get("elapsed_s", 0)),
            crops_per_s=_speed(classifier.classify),
            published=known.published_accuracy if known and card.training.get("recipe") == "published" else 0.0,
            accuracy=_accuracies(classifier.classify, sets),
            trained_on=frozenset(str(source["name"]) for source in card.data),
        )
    for method in classical:
        announce(method)
        fitted = fit_classical(method, data, samples=classical_samples)
        yield ModelRow(
            id=method,
            summary=f"{SUMMARIES[method]} (scikit-learn)",
            numbers=fitted.numbers,
            file_bytes=0,
            training_s=fitted.fit_s,
            crops_per_s=_speed(fitted.classify),
            published=0.0,
            accuracy=_accuracies(fitted.classify, sets),
        )
