"""Whether the views of today look like those that a model was trained on.

The population stability index of each feature and of the score: 0 where the shares of the
reference's bins are as in training, above 0.1 a shift to look at, above 0.25 one to act on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from schemas.metrics import DRIFT_PSI

log = structlog.get_logger()

Column = npt.NDArray[np.floating[Any]]

ALERT_PSI = 0.25
SCORE = "score"
"""Beside the names of features."""
_BINS = 10
_FLOOR = 1e-4
"""Least share of a bin: one that was empty in training must not make the index infinite."""
_EVERY = 32
"""One view of so many is looked at."""
_ROWS = 10_000
"""Looked at for one value of the index: it then has a noise of about 0.001."""


class Reference(msgspec.Struct, frozen=True):
    """How a feature was spread in training."""

    edges: list[float]
    """Ascending; a bin ends with its edge, the last one has none."""
    shares: list[float]
    """Of the bins, and last of views without a value; they sum to 1."""


def reference_of(column: Column) -> Reference:
    """The spread of n values, NaN allowed, in bins of about the same size."""
    known = column[~np.isnan(column)]
    inner = np.linspace(0, 1, _BINS + 1)[1:-1]
    edges = np.unique(np.quantile(known, inner, method="lower")) if len(known) else np.empty(0)
    return Reference(edges.tolist(), (_counts(edges, column) / max(len(column), 1)).tolist())


def references(
    names: Sequence[str], features: npt.NDArray[np.float64], score: Column
) -> dict[str, Reference]:
    """The references of n training views, for a card.

    Args:
        names: of the features.
        features: float64[n, F].
        score: float32[n].
    """
    columns = dict(zip(names, features.T, strict=True))
    return {name: reference_of(column) for name, column in columns.items()} | {
        SCORE: reference_of(score)
    }


def psi(shares: Sequence[float], counts: npt.NDArray[np.int64]) -> float:
    """The index of some counts against the shares of the reference."""
    expected = np.maximum(shares, _FLOOR)
    found = np.maximum(counts / max(int(counts.sum()), 1), _FLOOR)
    return float(((found - expected) * np.log(found / expected)).sum())


class Drift:
    """Looks at some of the views of a worker, and says how far they are from training."""

    def __init__(self, names: Sequence[str], known: Mapping[str, Reference]) -> None:
        """Watches the features `names`, in the order of the columns, and the score.

        Args:
            known: references by name; those without one are not watched.
        """
        self._places = [(name, i) for i, name in enumerate([*names, SCORE]) if name in known]
        self._known = {name: (np.array(one.edges), one.shares) for name, one in known.items()}
        self._alerted: set[str] = set()
        self._begin()
        DRIFT_PSI.clear()

    def _begin(self) -> None:
        self._counts = {name: np.zeros(len(one[1]), np.int64) for name, one in self._known.items()}
        self._rows = 0

    def add(self, features: npt.NDArray[np.float64], score: Column) -> None:
        """Looks at some of n views that were scored.

        Args:
            features: float64[n, F].
            score: float32[n].
        """
        some, scores = features[::_EVERY], score[::_EVERY]
        for name, place in self._places:
            column = scores if name == SCORE else some[:, place]
            self._counts[name] += _counts(self._known[name][0], column)
        self._rows += len(scores)
        if self._rows >= _ROWS:
            self._say()
            self._begin()

    def _say(self) -> None:
        found = {name: psi(self._known[name][1], self._counts[name]) for name, _ in self._places}
        for name, value in found.items():
            DRIFT_PSI.labels(name).set(value)
            if value >= ALERT_PSI and name not in self._alerted:
                log.warning("drift", feature=name, psi=round(value, 3), alert_from=ALERT_PSI)
        self._alerted = {name for name, value in found.items() if value >= ALERT_PSI}


def _counts(edges: Column, column: Column) -> npt.NDArray[np.int64]:
    """How many values are in each bin, and last how many are NaN."""
    missing = np.isnan(column)
    bins = np.searchsorted(edges, column)
    bins[missing] = len(edges) + 1
    return np.bincount(bins, minlength=len(edges) + 2)
