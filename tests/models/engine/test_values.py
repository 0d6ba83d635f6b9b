"""The features against the same, row by row, as slowly as they are meant."""

import math
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from support.columns import KEYS, Columns, columns

from models.engine.engine import Engine
from models.engine.families import DAY, families_of, length
from models.engine.summary import words_of
from models.engine.table import FEATURES

GAPS = ("least gap", "mean gap", "spread of gaps", "entropy of gaps")
CHECKED = ("count", "seconds since", "duration", *GAPS, "age")


def by_the_book(traffic: Columns) -> dict[str, list[float]]:
    """Features of single entities and pairs that are made of nothing else."""
    keep = {family.name: family.keep_ms for family in families_of(FEATURES)}
    table = [
        feature
        for feature in FEATURES
        if (feature.aggregate in CHECKED or feature.aggregate.startswith("distinct"))
        and feature.entity != "sequence"
    ]
    lives: dict[tuple, list] = defaultdict(list)
    found: dict[str, list[float]] = {feature.name: [] for feature in table}
    for i in range(len(traffic["time"])):
        now = {name: int(column[i]) for name, column in traffic.items()}
        times: dict[tuple, int] = {}
        for feature in table:
            key = (feature.entity, *(now[name] for name in feature.entity.split(" × ")))
            if 0 in key:
                found[feature.name].append(math.nan)
                continue
            life = lives[key]
            if life and now["seen"] - life[-1]["seen"] > keep[feature.entity]:
                life.clear()
            times[key] = max([now["time"], *(one["at"] for one in life[-1:])])
            found[feature.name].append(value(feature, life, times[key], traffic))
        for key, at in times.items():
            lives[key].append(now | {"at": at})
    return found


def value(feature, life: list[dict], at: int, traffic: Columns) -> float:
    n, kind = length(feature.window), feature.aggregate
    if kind == "count":
        buckets = [one["at"] // n for one in life]
        left = 1 - (at - at // n * n) / n
        return buckets.count(at // n) + buckets.count(at // n - 1) * left
    if kind.startswith("distinct"):
        values = {one[kind.split()[1]] for one in life if one["at"] // n >= at // n - 1} - {0}
        return len({int(words_of(np.array([v], np.uint64))[0]) for v in values})
    ats = [*(one["at"] for one in life), at]
    gaps = [(b - a) / 1e3 for a, b in pairwise(ats)]
    if kind == "seconds since":
        return gaps[-n] if len(gaps) >= n else math.nan
    if kind == "duration":
        return (at - ats[-1 - n]) / 1e3 if len(gaps) >= n else math.nan
    if kind == "age":
        assert n == DAY
        return (at - ats[0]) / 1e3 if life else math.nan
    gaps = gaps[-n:]
    if kind == "least gap":
        return min(gaps, default=math.nan)
    logs = np.log2(np.array(gaps) + 0.25)
    if kind == "mean gap":
        weights = 0.5 ** np.arange(len(gaps))[::-1]
        return float(np.average(logs, weights=weights)) if gaps else math.nan
    if len(gaps) < 3:
        return math.nan
    if kind == "entropy of gaps":
        shares = [count / len(gaps) for count in Counter(np.floor(logs).tolist()).values()]
        return -sum(share * math.log2(share) for share in shares)
    assert kind == "spread of gaps"
    return float(logs.std())


@settings(max_examples=40, deadline=None)
@given(columns())
def test_features_mean_what_the_table_says(traffic: Columns) -> None:
    found = Engine((*KEYS, "watch_ms")).observe(traffic)
    names = [feature.name for feature in FEATURES]
    for name, expected in by_the_book(traffic).items():
        # Squares of logs lose half of the digits of a spread near zero.
        np.testing.assert_allclose(
            found[:, names.index(name)], expected, rtol=1e-6, atol=1e-6, err_msg=name
        )


@pytest.mark.parametrize(
    ("gaps", "bits"),
    [
        ([60, 60], math.nan),
        ([60] * 3, 0),
        ([60] * 7, 0),
        ([0, 0.2, 0.1, 0.249], 0),  # all of them soon
        ([0.249, 0.25, 0.749, 0.75], 1.5),
        ([4, 7, 8, 15], 1),
        ([2**i for i in range(8)], 3),
        ([2**i for i in range(8)] + [60] * 8, 0),  # the last eight count
    ],
)
def test_bits_of_gaps(gaps: list[float], bits: float) -> None:
    time = np.rint(np.cumsum([0, *gaps, 1]) * 1e3).astype(np.int64)
    block = {"time": time, "seen": time, "viewer": np.ones(len(time), np.uint64)}
    names = [feature.name for feature in FEATURES]
    found = Engine(block).observe(block)[-2, names.index("viewer_gap_entropy")]
    np.testing.assert_equal(found, bits)


def test_watch_times_that_repeat() -> None:
    n = 4
    time = np.arange(n) * 1_000
    one = np.ones(n, np.uint64)
    watch = np.array([4_000, 9_000, 4_001, 9_000])
    block = {"time": time, "seen": time, "viewer": one, "watch_ms": watch}
    found = Engine(block).observe(block)
    names = [feature.name for feature in FEATURES]
    column = {name: found[:, names.index(name)].tolist() for name in names}
    assert column["viewer_watch_repeats"][1:] == [0, 1, 1]
    assert column["viewer_watch_change_s"][1:] == [5, 4.999, 4.999]
    assert column["sequence_views_6h"][1:] == [0, 0, 1]
    assert math.isnan(column["viewer_watch_spread"][1])
    assert column["viewer_watch_spread"][2] > 0
