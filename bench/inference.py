"""`inference`: what a forest costs per view on one core, by `models.forest` and by others."""

import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import psutil
from sklearn.ensemble import HistGradientBoostingClassifier

from bench.inference_others import OTHERS, Predict
from bench.measure import alone
from models.forest import forest_of
from models.registry import ONE_THREAD, raw_scores

Floats = npt.NDArray[np.float64]

SHAPES = ((60, 8), (40, 16))
"""Trees and leaves."""
BLOCKS = (1, 1_024, 8_192)
FEATURES = 50
_EXAMPLES = 40_000
SECONDS = 0.5
"""Spent on blocks of each size."""


class Candidate(NamedTuple):
    """A way to the raw scores."""

    packages: tuple[str, ...]
    """Modules that have to be there; the first one is imported for what it costs."""
    load: Callable[[Any], Predict]


def _forest(estimator: Any) -> Predict:
    forest = forest_of(estimator)
    assert forest is not None, "trees of few leaves, and no categories"
    return forest.raw_scores


def _scikit_learn(estimator: Any) -> Predict:
    return lambda features: raw_scores(estimator, features)


CANDIDATES = {
    "models.forest": Candidate(("numpy",), _forest),
    "scikit-learn": Candidate(("sklearn",), _scikit_learn),
    **{name: Candidate(*other) for name, other in OTHERS.items()},
}


def measure() -> dict[str, Any]:
    """Every candidate that is installed, on forests trained on random features, some missing.

    Each has a process and a core of its own, one thread, and gets the blocks as the stream has
    them, in Fortran order: if it has to copy them first, that is part of its time.
    """
    runs = []
    for trees, leaves in SHAPES:
        estimator = random_forest(trees, leaves)
        for name in CANDIDATES:
            found = alone(measured, name, estimator)
            if found:
                runs.append({"candidate": name, "trees": trees, "leaves": leaves, **found})
    return {"features": FEATURES, "runs": runs}


def random_forest(trees: int, leaves: int) -> HistGradientBoostingClassifier:
    """A forest of this size on random features."""
    features = random_features(_EXAMPLES, seed=1)
    rng = np.random.default_rng(2)
    filled = np.nan_to_num(features, nan=-1.0)
    weights = rng.normal(size=FEATURES) / (1 + filled.std(axis=0))
    raw = filled @ weights + 2 * np.isnan(features[:, 0]) + np.sin(filled).sum(axis=1) / 2
    bot = raw + rng.logistic(size=_EXAMPLES) > np.quantile(raw, 0.7)
    estimator = HistGradientBoostingClassifier(
        max_iter=trees, max_leaf_nodes=leaves, early_stopping=False, random_state=1
    )
    with ONE_THREAD.limit(limits=1, user_api="openmp"):
        return estimator.fit(features, bot)


def random_features(n: int, seed: int) -> Floats:
    """Counts, shares, seconds and flags of n views, float64[n, F] in Fortran order, with NaN."""
    rng = np.random.default_rng(seed)
    kinds = (
        lambda: rng.gamma(1.0, 10.0, n),
        lambda: rng.poisson(3.0, n),
        lambda: rng.normal(size=n),
        lambda: rng.random(n) < 0.3,
        lambda: np.exp(rng.normal(0.0, 3.0, n)),
    )
    features = np.empty((n, FEATURES), order="F")
    for i in range(FEATURES):
        features[:, i] = kinds[i % len(kinds)]()
        features[rng.random(n) < (0.3, 0.05, 0.05)[i % 3], i] = np.nan
    return features


def measured(name: str, estimator: Any, seconds: float = SECONDS) -> dict[str, Any] | None:
    """What a candidate takes in this process; None if it is not installed."""
    packages, load = CANDIDATES[name]
    features = random_features(max(BLOCKS), seed=3)
    expected = raw_scores(estimator, features)
    process, begun = psutil.Process(), time.process_time()
    before = process.memory_info().rss
    try:
        for package in packages:
            import_module(package)
    except ImportError:
        return None
    imported = time.process_time()
    predict = load(estimator)
    predict(features[:1])
    loaded = time.process_time()
    off = np.abs(predict(features) - expected)
    return {
        "package": _package(packages[0]),
        "import_s": imported - begun,
        "load_s": loaded - imported,
        "rss": process.memory_info().rss - before,
        "equal": float((off == 0).mean()),
        "off": float(off.max()),
        "us_per_row": {str(n): _best(predict, features[:n], seconds) for n in BLOCKS},
    }


def _package(module: str) -> str:
    name = {"sklearn": "scikit-learn", "lignum": "pylignum"}.get(module, module)
    return f"{name} {version(name)}"


def _best(predict: Predict, features: Floats, seconds: float) -> float:
    """µs of CPU time per row, of the fastest of many repeats."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    repeats = max(1, 2_000 // len(features))
    while not times or time.perf_counter() < end:
        begun = time.process_time()
        for _ in range(repeats):
            predict(features)
        times.append((time.process_time() - begun) / repeats)
    return min(times) / len(features) * 1e6
