"""The plots of a card, as small PNGs. Matplotlib is imported for them only."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve, roc_curve

from models.payments import payments
from models.training import HUMAN, Examples, Scores

Bools = npt.NDArray[np.bool_]

_INCHES = (4.8, 3.4)
_DPI = 90
_POINTS = 400
"""Of a curve: more cannot be seen."""
_LEAST_RATE = 1e-4


def save_plots(
    folder: Path, examples: Examples, score: Scores, threshold: float, bins: list[dict[str, Any]]
) -> None:
    """Writes `roc.png`, `pr.png`, `calibration.png`, `scores.png` and `threshold.png`.

    Args:
        folder: of the model.
        examples: n test views.
        score: float32[n].
        threshold: of the model.
        bins: of `models.evaluation.calibration`.
    """
    payable = examples.payable
    save_curves(folder, ~examples.human[payable], score[payable], bins)
    kinds = {kind: score[payable & (examples.kind == kind)] for kind in np.unique(examples.kind)}
    _save(folder / "scores.png", lambda axes: _scores(axes, kinds, threshold))
    _save(folder / "threshold.png", lambda axes: _threshold(axes, examples, score, threshold))


def save_curves(
    folder: Path, positive: Bools, score: npt.NDArray[Any], bins: list[dict[str, Any]]
) -> None:
    """Writes `roc.png`, `pr.png` and `calibration.png`, of n events with both kinds among them."""
    _save(folder / "roc.png", lambda axes: _roc(axes, positive, score))
    _save(folder / "pr.png", lambda axes: _precision(axes, positive, score))
    _save(folder / "calibration.png", lambda axes: _calibration(axes, bins))


def _save(path: Path, draw: Callable[[Any], None]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(_INCHES, dpi=_DPI)
    figure.subplots_adjust(left=0.14, right=0.97, bottom=0.15, top=0.91)
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    axes.grid(alpha=0.3)
    draw(axes)
    png = BytesIO()
    # Without the version of the library, so that the same figures are the same bytes.
    figure.savefig(png, format="png", metadata={"Software": None})
    path.write_bytes(png.getvalue())


def _some(*columns: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    rows = np.unique(np.linspace(0, len(columns[0]) - 1, _POINTS).astype(np.int64))
    return [column[rows] for column in columns]


def _roc(axes: Any, positive: Bools, score: npt.NDArray[Any]) -> None:
    wrong, found, _ = roc_curve(positive, score)
    # Even steps of the logarithm, as the axis has them.
    at = np.geomspace(_LEAST_RATE, 1, _POINTS)
    axes.semilogx(at, found[np.searchsorted(wrong, at, side="right") - 1])
    for rate in (0.001, 0.01):
        axes.axvline(rate, color="gray", linestyle=":")
    axes.set(xlabel="false positives", ylabel="recall", title="ROC", ylim=(0, 1.02))


def _precision(axes: Any, positive: Bools, score: npt.NDArray[Any]) -> None:
    precision, recall, _ = precision_recall_curve(positive, score)
    axes.plot(*_some(recall, precision))
    axes.set(xlabel="recall", ylabel="precision", title="Precision and recall", ylim=(0, 1.02))


def _calibration(axes: Any, bins: list[dict[str, Any]]) -> None:
    at = np.array([row["probability"] for row in bins])
    share = np.array([[row["share"][key] for key in ("rate", "low", "high")] for row in bins]).T
    reach = np.maximum([share[0] - share[1], share[2] - share[0]], 0)
    axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
    axes.errorbar(at, share[0], yerr=reach, marker="o", capsize=2)
    axes.set(xlabel="probability", ylabel="share of positives", title="Calibration")


def _scores(axes: Any, kinds: dict[str, Scores], threshold: float) -> None:
    edges = np.linspace(0, 1, 41)
    for kind, scores in kinds.items():
        if len(scores):
            shares = np.histogram(scores, edges)[0] / len(scores)
            width = 2 if kind == HUMAN else 1
            axes.stairs(shares, edges, label=kind.replace("_", " "), linewidth=width)
    axes.axvline(threshold, color="gray", linestyle=":")
    axes.set(xlabel="probability of a bot", ylabel="share of its views", title="Scores by kind")
    axes.set_yscale("log")
    axes.legend(fontsize=6)


def _threshold(axes: Any, examples: Examples, score: Scores, threshold: float) -> None:
    found = payments(examples, score)
    at = np.linspace(0, 1, _POINTS)
    human = examples.human[found.view]
    for label, of, sign in (("bots' money paid", ~human, 1), ("people's money denied", human, -1)):
        order = np.argsort(found.lowest[of])
        # How much is paid at each threshold: all whose lowest score is below it.
        paid = np.append(0, np.cumsum(found.micros[of][order]))
        share = paid[np.searchsorted(found.lowest[of][order], at)] / max(paid[-1], 1)
        axes.plot(at, share if sign > 0 else 1 - share, label=label)
    axes.axvline(threshold, color="gray", linestyle=":")
    axes.set(xlabel="threshold", ylabel="share of money", title="What a threshold costs")
    axes.set_yscale("symlog", linthresh=1e-3)
    axes.set_ylim(0, 1.1)
    axes.legend(fontsize=7)
