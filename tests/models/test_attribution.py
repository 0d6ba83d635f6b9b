"""Contributions are Shapley values by their definition, and sum to what the model says."""

from itertools import permutations
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier

from models.attribution import attribute
from models.features import NAMES
from models.registry import load_model

CHAMPION = load_model("champion")


def small(seed: int, features: int) -> Any:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(400, features))
    rows[rng.random(rows.shape) < 0.15] = np.nan
    bot = np.nan_to_num(rows[:, 0]) * np.nan_to_num(rows[:, 1], nan=1.0) > 0
    made = HistGradientBoostingClassifier(max_iter=3, max_leaf_nodes=7, min_samples_leaf=5)
    return made.fit(rows, bot)


SMALL = [small(seed, 4) for seed in range(3)]
values = st.one_of(st.just(np.nan), st.floats(-3, 3, width=32))


def expected(nodes: Any, at: int, row: Any, known: set[int]) -> float:
    """The value of a tree when only some features are known."""
    node = nodes[at]
    if node["is_leaf"]:
        return float(node["value"])
    left, right = (expected(nodes, node[side], row, known) for side in ("left", "right"))
    if node["feature_idx"] in known:
        value = row[node["feature_idx"]]
        goes_left = (
            node["missing_go_to_left"] if np.isnan(value) else value <= node["num_threshold"]
        )
        return left if goes_left else right
    share = nodes[node["left"]]["count"] / node["count"]
    return share * left + (1 - share) * right


def worth(estimator: Any, row: Any, known: set[int]) -> float:
    trees = [expected(trees[0].nodes, 0, row, known) for trees in estimator._predictors]
    return float(estimator._baseline_prediction[0, 0]) + sum(trees)


@given(st.sampled_from(SMALL), st.lists(values, min_size=4, max_size=4))
@settings(max_examples=40, deadline=None)
def test_the_mean_over_all_orders_in_which_features_become_known(
    estimator: Any, row: list[float]
) -> None:
    by_definition = np.zeros(4)
    orders = list(permutations(range(4)))
    for order in orders:
        for i, feature in enumerate(order):
            before, after = set(order[:i]), set(order[: i + 1])
            gained = worth(estimator, row, after) - worth(estimator, row, before)
            by_definition[feature] += gained / len(orders)
    found = attribute(estimator, np.array(row, np.float32))
    np.testing.assert_allclose(found.contributions, by_definition, atol=1e-9)
    np.testing.assert_allclose(found.base, worth(estimator, row, set()), atol=1e-9)


def thresholds(estimator: Any) -> list[list[float]]:
    found: list[list[float]] = [[np.nan, 1.0] for _ in NAMES]
    for (predictor,) in estimator._predictors:
        for node in predictor.nodes[predictor.nodes["is_leaf"] == 0]:
            found[node["feature_idx"]].append(float(node["num_threshold"]))
    return found


AT = thresholds(CHAMPION.estimator)


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_they_sum_to_the_raw_score_of_the_champion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # On a threshold, which float32 may not have, and anywhere.
    row = np.array([rng.choice([*values, rng.gamma(0.5, 20.0)]) for values in AT])
    found = attribute(CHAMPION.estimator, row.astype(np.float32))
    raw = CHAMPION.estimator.decision_function(row.reshape(1, -1))[0]
    np.testing.assert_allclose(found.base + found.contributions.sum(), raw, atol=1e-9)
