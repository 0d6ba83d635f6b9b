import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

from models.resampling import grouped, groups_of, share, wilson


def test_wilson_of_the_textbook() -> None:
    assert wilson(10, 100) == (pytest.approx(0.05523, abs=1e-5), pytest.approx(0.17437, abs=1e-5))
    assert wilson(0, 10)[0] == 0


@given(st.integers(1, 300), st.integers(0, 1_000))
def test_intervals_hold_their_rate(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = grouped("viewers", rng.integers(0, 20, n), seed)
    among = rng.random(n) < 0.5
    found = share(rng.random(n) < rng.random(), among, groups.of, groups.times)
    assert found["n"] == among.sum()
    if found["n"]:
        assert 0 <= found["low"] <= found["high"] <= 1
        assert found["low"] <= found["rate"] + 0.1
        assert found["rate"] <= found["high"] + 0.1
    else:
        assert found["rate"] is None


def test_intervals_are_of_whole_groups() -> None:
    hits = np.repeat([True, False] * 20, 25)
    of_promoters = grouped("promoters", np.repeat(np.arange(40), 25), 1)
    of_views = grouped("views", np.arange(1_000), 1)
    wide, narrow = (
        share(hits, np.ones(1_000), one.of, one.times) for one in (of_promoters, of_views)
    )
    assert wide["rate"] == narrow["rate"] == 0.5
    assert wide["high"] - wide["low"] > 3 * (narrow["high"] - narrow["low"])


def test_what_never_happened_in_few_groups_may_happen() -> None:
    one = grouped("promoters", np.zeros(1_000), 1)
    found = share(np.zeros(1_000), np.ones(1_000), one.of, one.times)
    assert found["rate"] == 0
    assert found["high"] > 0.5


def test_viewers_are_drawn_where_there_are_few_promoters() -> None:
    few = examples(300)._replace(promoter=np.arange(300, dtype=np.uint64) % 29)
    assert groups_of(few, 1).whole == "viewers"
    assert groups_of(examples(300), 1).whole == "promoters"
