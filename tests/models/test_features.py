import asyncio

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.traffic import Event, batch_of, cut, traffic, view

from models.counters import LocalCounters
from models.features import FEATURES, NAMES, assemble, prepare
from models.viewers import Viewers

LOCAL = [i for i, feature in enumerate(FEATURES) if feature.entity in ("view", "viewer")]


def features(blocks: list[list[Event]]) -> np.ndarray:
    viewers, counters = Viewers(), LocalCounters()

    async def run() -> np.ndarray:
        found = []
        for block in blocks:
            prepared = prepare(batch_of(block), viewers)
            counts = await counters.add(prepared.keys, prepared.increments)
            found.append(assemble(prepared, counts))
        return np.concatenate(found)

    return asyncio.run(run())


@settings(max_examples=50)
@given(traffic(), st.data())
def test_stream_and_training_agree_whatever_the_blocks(
    events: list[Event], data: st.DataObject
) -> None:
    found = features([events])
    np.testing.assert_array_equal(found, features(data.draw(cut(events))))
    assert not np.isinf(found).any()


@settings(max_examples=50)
@given(traffic(), st.data())
def test_features_are_past_only(events: list[Event], data: st.DataObject) -> None:
    known = data.draw(st.integers(0, len(events)))
    others = data.draw(traffic())
    shift = (events[known - 1].log_time if known else 0) - others[0].log_time
    later = [
        one._replace(log_time=one.log_time + shift, viewed_at=one.viewed_at + shift)
        for one in others
    ]
    found = features([events[:known] + later])
    np.testing.assert_array_equal(found[:known], features([events])[:known])


@settings(max_examples=50)
@given(traffic())
def test_without_counters_only_local_features_are_known(events: list[Event]) -> None:
    prepared = prepare(batch_of(events), Viewers())
    found = assemble(prepared, None)
    shared = np.delete(np.arange(len(NAMES)), LOCAL)
    assert np.isnan(found[:, shared]).all()
    np.testing.assert_array_equal(found[:, LOCAL], features([events])[:, LOCAL])


def column(found: np.ndarray, name: str) -> list[float]:
    return found[:, NAMES.index(name)].tolist()


def at(ms: int, **fields: object) -> Event:
    return Event(view(**fields), 1_790_000_000_000 + ms, 1_790_000_000_000 + ms)


def test_cookie_resetting_shows_at_the_address() -> None:
    events = [at(i, viewer_id=f"viewer-{i:04}", ip="84.128.1.1") for i in range(5)]
    found = features([events[:3], events[3:]])
    assert column(found, "address_views_1h") == [0, 1, 2, 3, 4]
    assert column(found, "address_new_share_1h") == [n / (n + 10) for n in range(5)]
    assert column(found, "viewer_is_new") == [1] * 5


def test_replayed_session_shows_in_its_sequence() -> None:
    watched = [2_000, 7_000, 4_000]
    events = [
        at(1000 * i + j, viewer_id=f"viewer-{i:04}", watch_ms=ms, ip=None)
        for i in range(3)
        for j, ms in enumerate(watched)
    ]
    found = column(features([events]), "sequence_views_24h")
    assert [found[i] for i in (1, 2, 4, 5, 7, 8)] == [0, 0, 1, 1, 2, 2]
    assert np.isnan([found[0], found[3], found[6]]).all()


def test_clockwork_shows_in_its_gaps() -> None:
    found = features([[at(i * 45_000) for i in range(4)]])
    np.testing.assert_array_equal(column(found, "viewer_gap_s"), [np.nan, 45, 45, 45])
    np.testing.assert_array_equal(column(found, "viewer_gap_change_s"), [np.nan, np.nan, 0, 0])


def test_unknown_is_no_entity() -> None:
    events = [at(i, ip="nonsense", user_agent=None) for i in range(3)]
    found = features([events])
    for name in ("address_views_1h", "prefix_share_1h", "device_views_1h"):
        assert np.isnan(column(found, name)).all()


def test_every_feature_is_described_once() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(all(feature) for feature in FEATURES)
