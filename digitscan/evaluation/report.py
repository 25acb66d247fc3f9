"""Evaluation as JSON, and as one HTML page with the pictures inside."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from digitscan.core.errors import UsageError
from digitscan.core.types import NOT_A_DIGIT, Crops, Posteriors
from digitscan.evaluation.metrics import RejectFigures, SetFigures

_WORST = 60
"""Mistakes shown a set."""
_CURVE_POINTS = 200
_INK = "#1f4e79"


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One model on several data sets.

    Attributes
    ----------
    model : dict
        Its card.
    sets : list of SetFigures
    reject : RejectFigures or None
        None where no set holds anything but digits.
    curve : list of dict
        The learning curve, an epoch each; empty where it was not kept.
    crops, labels, posteriors : dict of set name to array
        The mistakes, most confident first, for the pictures.
    """

    model: dict[str, Any]
    sets: list[SetFigures]
    reject: RejectFigures | None
    curve: list[dict[str, float]] = field(default_factory=list)
    crops: Mapping[str, Crops] = field(default_factory=dict)
    labels: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    posteriors: Mapping[str, Posteriors] = field(default_factory=dict)


def to_json(evaluation: Evaluation) -> bytes:
    """All figures, without the pictures."""
    sets = []
    for figures in evaluation.sets:
        step = max(1, len(figures.coverage) // _CURVE_POINTS)
        sets.append(
            {
                "name": figures.name,
                "note": figures.note,
                "total": figures.total,
                "right": figures.right,
                "accuracy": figures.accuracy,
                "interval_95": list(figures.interval),
                "ten_digit_accuracy": figures.ten_digit_accuracy,
                "ece": figures.calibration.ece,
                "coverage_at_1_percent_risk": figures.coverage_at_1_percent,
                "coverage_at_0.1_percent_risk": figures.coverage_at_01_percent,
                "classes": [asdict(c) for c in figures.classes],
                "confusion": figures.matrix.tolist(),
                "reliability": {
                    "counts": figures.calibration.counts.tolist(),
                    "confidence": figures.calibration.confidence.tolist(),
                    "accuracy": figures.calibration.accuracy.tolist(),
                },
                "risk_coverage": [figures.coverage[::step].tolist(), figures.risk[::step].tolist()],
            }
        )
    whole = {
        "schema": 1,
        "model": evaluation.model,
        "sets": sets,
        "reject": None if evaluation.reject is None else asdict(evaluation.reject),
        "learning_curve": evaluation.curve,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def _pyplot() -> Any:
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise UsageError(
            "the HTML report draws with matplotlib, which is not installed",
            remedy='pip install "digitscan[reports]", or ask for --out report.json',
        ) from error
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _embedded(figure: Any, alt: str) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, bbox_inches="tight")
    _pyplot().close(figure)
    return _image(stream.getvalue(), alt)


def _image(png: bytes, alt: str) -> str:
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _confusion_picture(figures: SetFigures) -> str:
    plt = _pyplot()
    seen = [k for k in range(len(figures.matrix)) if figures.matrix[k].sum() or figures.matrix[:, k].sum()]
    matrix = figures.matrix[np.ix_(seen, seen)]
    names = ["none" if k == NOT_A_DIGIT else str(k) for k in seen]
    figure, axes = plt.subplots(figsize=(5.2, 4.8))
    wrong = matrix.astype(float)
    np.fill_diagonal(wrong, 0)  # colour tells the mistakes apart; the diagonal would drown them
    axes.imshow(wrong, cmap="Oranges")
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            axes.text(
                column, row, f"{count}", ha="center", va="center", fontsize=7, weight="bold" if row == column else None
            )
    axes.set_xticks(range(len(seen)), names)
    axes.set_yticks(range(len(seen)), names)
    axes.set_xlabel("read as")
    axes.set_ylabel("truth")
    return _embedded(figure, f"confusion matrix of {figures.name}")


def _reliability_picture(figures: SetFigures) -> str:
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(4.2, 4.0))
    full = figures.calibration.counts > 0
    axes.plot([0, 1], [0, 1], color="#999", linewidth=1)
    axes.plot(figures.calibration.confidence[full], figures.calibration.accuracy[full], "o-", color=_INK)
    axes.set(xlabel="confidence", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set_title(f"ECE {figures.calibration.ece:.2%}", fontsize=9)
    return _embedded(figure, f"reliability of {figures.name}")


def _risk_picture(figures: SetFigures) -> str:
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(4.2, 4.0))
    axes.plot(figures.coverage, figures.risk * 100, color=_INK)
    axes.set(xlabel="share accepted", ylabel="errors among them, %", xlim=(0, 1.02))
    axes.set_ylim(bottom=0)
    return _embedded(figure, f"risk and coverage of {figures.name}")


def _curve_picture(curve: Sequence[Mapping[str, float]]) -> str:
    plt = _pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2))
    epochs = [row["epoch"] for row in curve]
    for axes, kind in ((left, "loss"), (right, "accuracy")):
        axes.plot(epochs, [row[kind] for row in curve], color="#c55a11", label="training")
        axes.plot(epochs, [row[f"validation_{kind}"] for row in curve], color=_INK, label="validation")
        axes.set(xlabel="epoch", ylabel=kind)
        axes.legend(fontsize=8)
    return _embedded(figure, "learning curves")


def mistakes_sheet(crops: Crops, labels: NDArray[np.uint8], posteriors: Posteriors, most: int = 60) -> bytes:
    """PNG of mistakes, dark on light, each with truth and reading under it.

    Parameters
    ----------
    crops : (N, 28, 28) uint8
    labels : (N,) uint8
    posteriors : (N, 11) float32
    most : int
        How many to show.
    """
    from skimage.util import montage

    tiles = []
    for row in range(min(most, len(labels))):
        tile = cv2.resize(255 - crops[row], (56, 56), interpolation=cv2.INTER_CUBIC)
        tile = cv2.copyMakeBorder(tile, 3, 17, 3, 3, cv2.BORDER_CONSTANT, value=255)
        truth, read = (("-" if k == NOT_A_DIGIT else str(k)) for k in (int(labels[row]), int(posteriors[row].argmax())))
        words = f"{truth}>{read} {posteriors[row].max():.0%}"
        cv2.putText(tile, words, (3, 71), cv2.FONT_HERSHEY_SIMPLEX, 0.36, 0, 1, cv2.LINE_AA)
        tiles.append(tile)
    columns = 12
    sheet = np.full((20, 62), 255, np.uint8)
    if tiles:
        sheet = montage(np.stack(tiles), fill=255, grid_shape=(-(-len(tiles) // columns), columns))
    return bytes(cv2.imencode(".png", sheet)[1].tobytes())


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}
h1,h2{line-height:1.2}h2{margin-top:2.5rem;border-top:1px solid #ddd;padding-top:1rem}
table{border-collapse:collapse;margin:.6rem 0}td,th{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #eee}
td:first-child,th:first-child,td.words{text-align:left}img{max-width:100%;vertical-align:top}
.note{color:#666}
"""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table>" + "".join(lines) + "</table>"


def to_html(evaluation: Evaluation) -> str:
    """One page that needs nothing beside it.

    Raises
    ------
    UsageError
        If matplotlib, of the extra ``reports``, is not installed.
    """
    card = evaluation.model
    title = f"digitscan: {card['id']}"
    summary = [
        (
            s.name,
            f"{s.total:,}",
            f"{s.accuracy:.2%}",
            f"{s.interval[0]:.2%} to {s.interval[1]:.2%}",
            f"{s.ten_digit_accuracy:.2%}",
            f"{s.calibration.ece:.2%}",
            f"{s.coverage_at_1_percent:.1%}",
            f"{s.coverage_at_01_percent:.1%}",
            s.note,
        )
        for s in evaluation.sets
    ]
    head = (
        "set",
        "crops",
        "right",
        "95 % interval",
        "among ten digits",
        "ECE",
        "accepted at 1 % errors",
        "at 0.1 %",
        "",
    )
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title><style>{_STYLE}</style>",
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{html.escape(card['architecture'])}, {card['parameters']:,} parameters, "
        f"made {html.escape(card['created'])} with digitscan {html.escape(card['digitscan'])}.</p>",
        _table(head, summary),
    ]
    if evaluation.reject is not None:
        reject = evaluation.reject
        parts.append(
            f"<p>Telling digits from what is none: AUROC {reject.auroc:.4f}; {reject.digits_lost:.2%} of true digits "
            f"are lost, {reject.others_kept:.2%} of the others are read as digits.</p>"
        )
    if evaluation.curve:
        parts += ["<h2>Learning curves</h2>", _curve_picture(evaluation.curve)]
    for figures in evaluation.sets:
        parts += [f"<h2>{html.escape(figures.name)}</h2>", f"<p class=note>{html.escape(figures.note)}</p>"]
        parts += [_confusion_picture(figures), _reliability_picture(figures), _risk_picture(figures)]
        rows = [
            (c.name, f"{c.precision:.4f}", f"{c.recall:.4f}", f"{c.f1:.4f}", f"{c.support:,}") for c in figures.classes
        ]
        parts.append(_table(("class", "precision", "recall", "F1", "support"), rows))
        if len(figures.worst) and figures.name in evaluation.crops:
            shown = min(len(figures.worst), _WORST)
            sheet = mistakes_sheet(
                evaluation.crops[figures.name],
                evaluation.labels[figures.name],
                evaluation.posteriors[figures.name],
                _WORST,
            )
            parts.append(f"<p>The {shown} most confident of {len(figures.worst)} mistakes, truth&gt;reading:</p>")
            parts.append(_image(sheet, f"mistakes on {figures.name}"))
    return "\n".join(parts) + "</html>\n"
