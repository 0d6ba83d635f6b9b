import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from models.figures import figures


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 80), st.integers(1, 10))
def test_estimates_are_those_of_scikit_learn(seed: int, n: int, ties: int) -> None:
    rng = np.random.default_rng(seed)
    positive = np.append(rng.random(n) < 0.4, [True, False])
    score = rng.integers(0, ties + 1, n + 2) / ties
    found = figures(positive, score, np.arange(n + 2), seed)
    assert found["roc_auc"]["estimate"] == pytest.approx(roc_auc_score(positive, score), abs=1e-5)
    precision = average_precision_score(positive, score)
    assert found["pr_auc"]["estimate"] == pytest.approx(precision, abs=1e-5)
    assert found["n"], found["positives"] == (n + 2, positive.sum())


def test_recall_at_one_percent_false_positives() -> None:
    positive = np.arange(300) < 100
    # 60 positives above all others, 20 below one of 200, 20 below three.
    score = np.concatenate([np.full(60, 9.0), np.full(20, 7.0), np.full(20, 5.0), np.zeros(200)])
    score[100], score[101:103] = 8, 6
    assert figures(positive, score, np.arange(300), 1)["recall_at_1pct_fpr"]["estimate"] == 0.8


def test_recall_at_one_per_mille() -> None:
    positive = np.arange(3_100) < 100
    score = np.concatenate([np.full(60, 9.0), np.full(20, 7.0), np.full(20, 5.0), np.zeros(3_000)])
    score[100:103], score[103] = 8, 6
    assert figures(positive, score, np.arange(3_100), 1)["recall_at_01pct_fpr"]["estimate"] == 0.8


def test_intervals_are_of_viewers_and_repeatable() -> None:
    rng = np.random.default_rng(1)
    viewer = np.repeat(np.arange(40), 25)
    positive = np.repeat(np.arange(40) < 20, 25)
    score = np.repeat(rng.normal(size=40), 25) + positive
    of_viewers, of_events = (figures(positive, score, who, 3) for who in (viewer, np.arange(1000)))
    assert of_viewers == figures(positive, score, viewer, 3)
    width = [f["roc_auc"]["high"] - f["roc_auc"]["low"] for f in (of_viewers, of_events)]
    assert width[0] > 2 * width[1]


@pytest.mark.parametrize("positive", [True, False])
def test_one_kind_only(positive: bool) -> None:
    with pytest.raises(ValueError, match="of 5 are positive"):
        figures(np.full(5, positive), np.arange(5.0), np.arange(5), 1)
