import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.columns import KEYS, Columns, columns, cut, draw_traffic, edges, rows

from models.engine.ahead import look_ahead
from models.engine.engine import Engine
from models.engine.table import AHEAD, FEATURES

ALL = (*KEYS, "watch_ms", "watch_s")


def features(blocks: list[Columns]) -> np.ndarray:
    engine = Engine(ALL)
    return np.concatenate([engine.observe(block) for block in blocks])


@settings(max_examples=40, deadline=None)
@given(columns(), edges)
def test_any_blocks_give_the_same_features_to_the_last_bit(traffic: Columns, at: list[int]) -> None:
    np.testing.assert_array_equal(features([traffic]), features(cut(traffic, at)))


@settings(max_examples=40, deadline=None)
@given(columns(), columns(), st.integers(0, 60))
def test_the_future_changes_nothing(traffic: Columns, other: Columns, at: int) -> None:
    past = rows(traffic, slice(at))
    if len(past["time"]) and len(other["time"]):
        other = dict(other)
        shift = past["seen"][-1] - other["seen"][0]
        other["seen"], other["time"] = other["seen"] + shift, other["time"] + shift
    changed = {name: np.append(past[name], other[name]) for name in past}
    known = features([past])
    np.testing.assert_array_equal(known, features([traffic])[:at])
    np.testing.assert_array_equal(known, features([changed])[: len(known)])


@settings(max_examples=40, deadline=None)
@given(columns(), edges)
def test_memory_survives_being_saved_between_blocks(traffic: Columns, at: list[int]) -> None:
    engine, found = Engine(ALL), []
    for block in cut(traffic, at):
        found.append(engine.observe(block))
        saved = engine.to_arrays()
        engine = Engine(ALL)
        engine.load(saved)
    np.testing.assert_array_equal(features([traffic]), np.concatenate(found))


@settings(max_examples=40, deadline=None)
@given(columns(), edges)
def test_what_is_remembered_is_a_function_of_the_log(traffic: Columns, at: list[int]) -> None:
    at_once, in_blocks = Engine(ALL), Engine(ALL)
    at_once.observe(traffic)
    for block in cut(traffic, at):
        in_blocks.observe(block)
    one, other = at_once.to_arrays(), in_blocks.to_arrays()
    for family in at_once.families:
        orders = [np.argsort(arrays[f"{family.name}/keys"]) for arrays in (one, other)]
        for name in ("keys", "states"):
            key = f"{family.name}/{name}"
            np.testing.assert_array_equal(one[key][orders[0]], other[key][orders[1]], key)


@settings(max_examples=40, deadline=None)
@given(columns())
def test_what_a_file_does_not_have_is_missing_and_changes_nothing_else(traffic: Columns) -> None:
    without = {name: column for name, column in traffic.items() if name not in ("ip", "watch_ms")}
    found = Engine(without).observe(without)
    full = features([traffic])
    for i, feature in enumerate(FEATURES):
        needs_it = (
            "ip" in feature.entity.split(" × ")
            or feature.aggregate == "part of ip"
            or feature.aggregate.endswith("watch")
            or feature.entity == "sequence"
        )
        expected = np.full(len(found), np.nan) if needs_it else full[:, i]
        np.testing.assert_array_equal(found[:, i], expected, feature.name)


@settings(max_examples=40, deadline=None)
@given(columns(), st.integers(0, 60))
def test_looking_ahead_is_bounded(traffic: Columns, at: int) -> None:
    soon = traffic["seen"] <= traffic["seen"][:at].max(initial=0) + 20 * 60_000
    far = {name: column[soon] for name, column in traffic.items()}
    far["time"] = far["seen"]
    whole = dict(traffic, time=traffic["seen"])
    np.testing.assert_array_equal(look_ahead(whole)[:at], look_ahead(far)[:at])


@pytest.mark.parametrize("days", [13, 25, 28, 30, 45, 91])
def test_views_of_months_ago_are_late_and_stop_nobodys_windows(days: int) -> None:
    rng = np.random.default_rng(5)
    before, replayed, after = cut(draw_traffic(rng, 600, 4, busy=4), [200, 400])
    # A block of what was refused long ago; who is in it does not come again.
    for name in ("viewer", "ip", "prefix", "device", "user_agent", "post"):
        replayed[name] = rng.integers(100, 200, 200).astype(np.uint64)
    week, late = (dict(replayed, time=replayed["time"] - n * 24 * 3_600_000) for n in (7, days))
    expected, found = features([before, week, after]), features([before, late, after])
    np.testing.assert_array_equal(found[400:], expected[400:])
    if days % 7 == 0:  # their own gaps are what they were
        np.testing.assert_array_equal(found, expected)


def test_memory_is_bounded_by_who_is_active() -> None:
    engine = Engine(("viewer", "post"))
    day = 25 * 3_600_000
    sizes = []
    for block in range(30):
        n = 2_000
        time = np.full(n, block * day, np.int64)
        viewer = np.arange(1 + block * n, 1 + (block + 1) * n).astype(np.uint64)
        engine.observe({"time": time, "seen": time, "viewer": viewer, "post": viewer})
        sizes.append(engine.nbytes)
    assert sizes[-1] <= sizes[5]


@pytest.mark.parametrize("table", [FEATURES, AHEAD])
def test_names_are_different(table: tuple) -> None:
    assert len({feature.name for feature in table}) == len(table)
