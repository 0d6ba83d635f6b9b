import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation import evaluate, rate
from models.features import NAMES
from models.training import Examples


def test_wilson_of_the_textbook() -> None:
    assert rate(10, 100) == {"n": 100, "rate": 0.1, "low": 0.05523, "high": 0.17437}
    assert rate(0, 10)["low"] == 0
    assert rate(0, 0)["rate"] is None


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_intervals_hold_their_rate(n: int, share: float) -> None:
    found = rate(int(n * share), n)
    assert 0 <= found["low"] <= found["rate"] <= found["high"] <= 1


def test_figures_count_what_they_say() -> None:
    kinds = ["human"] * 6 + ["crawler"] * 2 + ["slow_distributed"] * 4
    n = len(kinds)
    found = evaluate(
        Examples(
            kind=np.array(kinds),
            platform=np.full(n, "tiktok"),
            viewer=np.arange(n, dtype=np.uint64),
            promoter=np.arange(n, dtype=np.uint64) % 7,
            once=np.arange(n, dtype=np.uint64),
            rate_micros=np.full(n, 1_000),
            log_time=np.arange(n, dtype=np.int64),
            features=np.zeros((n, len(NAMES))),
            givt=np.array([0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0], np.uint32),
            policy=np.array([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1], np.uint32),
        ),
        score=np.array([0.9, 0, 0, 0, 0.9, 0.9, 0, 0, 0.9, 0, 0, 0.9], np.float32),
        threshold=0.5,
        seed=1,
    )
    of = {
        name: (value["n"], value["rate"]) for name, value in found.items() if "n" in str(value)[:5]
    }
    assert found["payable_views"] == 7
    assert of["people_flagged_by_model"] == (4, 0.25)
    assert of["people_flagged_by_lists"] == (6, pytest.approx(1 / 6, abs=1e-5))
    assert of["bots_caught_by_lists"] == (6, pytest.approx(2 / 6, abs=1e-5))
    assert of["bots_caught_by_model"] == (3, pytest.approx(1 / 3, abs=1e-5))
    assert of["bots_paid"] == (6, pytest.approx(2 / 6, abs=1e-5))
    assert of["paid_views_that_are_bots"] == (5, 0.4)
    slow = found["by_kind"]["slow_distributed"]
    assert slow["unqualified_by_policy"]["rate"] == 0.25
    assert slow["paid"]["rate"] == 0.5
    assert found["by_kind"]["crawler"]["caught_by_model"]["n"] == 0
