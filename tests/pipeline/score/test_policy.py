import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.traffic import Event, batch_of, view

from pipeline.score.policy import POLICY_VERSION, RULES, Rule, days_of, pair_digests, qualify
from schemas.verdicts import reason_labels


def reasons(**fields: object) -> list[str]:
    batch = batch_of([Event(view(**fields), 1_790_000_000_000, 1_790_000_000_000)])
    return reason_labels(int(qualify(batch)[0]))


@pytest.mark.parametrize("platform", RULES)
def test_edges(platform: str) -> None:
    rule = RULES[platform]
    enough = {"platform": platform, "watch_ms": rule.min_watch_ms, "visible_pct": 50.0}
    assert reasons(**enough) == []
    assert reasons(**enough | {"watch_ms": rule.min_watch_ms - 1}) == ["below_min_watch"]
    assert reasons(**enough | {"visible_pct": 49.99}) == ["below_min_visible"]
    both = {"platform": platform, "watch_ms": 0, "visible_pct": 0.0}
    assert reasons(**both) == ["below_min_watch", "below_min_visible"]


def test_a_short_video_counts_whole() -> None:
    assert reasons(platform="youtube", duration_ms=1_500, watch_ms=1_500) == []
    assert reasons(platform="youtube", duration_ms=1_500, watch_ms=1_499) == ["below_min_watch"]


def test_an_unknown_length_excuses_nothing() -> None:
    assert reasons(duration_ms=0, watch_ms=0) == ["below_min_watch"]


def test_a_change_of_rules_is_a_new_version() -> None:
    assert POLICY_VERSION == "1"
    assert {
        "tiktok": Rule(2_000, 50),
        "web": Rule(2_000, 50),
        "instagram": Rule(3_000, 50),
        "youtube": Rule(5_000, 50),
    } == RULES


def test_days_begin_at_midnight_utc() -> None:
    midnight = 20_000 * 86_400_000
    assert days_of(np.array([midnight - 1, midnight])).tolist() == [19_999, 20_000]


_TRIPLES = st.tuples(
    st.text(st.characters(codec="utf-8")),
    st.text(st.characters(codec="utf-8")),
    st.integers(0, 40_000),
)


@given(_TRIPLES, _TRIPLES)
def test_pairs_differ_where_viewer_post_or_day_does(one: tuple, other: tuple) -> None:
    viewers, posts, days = zip(one, other, strict=True)
    a, b = pair_digests(viewers, posts, np.array(days, np.int64))
    assert (a == b) == (one == other)
    assert len(a) == 16


def test_pairs_do_not_run_into_each_other() -> None:
    a, b = pair_digests(["bc", "c"], ["a", "ab"], np.zeros(2, np.int64))
    assert a != b
