"""Redis remembers bit by bit what the memory of this process would."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from support.columns import KEYS, Columns, columns, cut, draw_traffic, edges

from models.engine import shared as module
from models.engine.engine import Engine
from models.engine.shared import RedisShared
from models.engine.table import FEATURES
from models.features import NAMES, new_engine
from schemas.metrics import VELOCITY_DOWN
from schemas.settings import Settings

ALL = (*KEYS, "watch_ms", "watch_s")
START = 1_767_571_510_000
TRAFFIC: Columns = {
    "time": np.full(3, START),
    "seen": np.full(3, START),
    "watch_ms": np.full(3, 1_000),
    "watch_s": np.ones(3),
    **{name: np.ones(3, np.uint64) for name in KEYS},
}


@pytest.fixture(scope="module")
def client(stack: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(stack.url("redis")) as client:
        yield client


@pytest.fixture
def found(stack: Settings, client: redis.Redis) -> Iterator[RedisShared]:
    client.delete(*client.keys("viewledger:{*}:*"), "x")
    found = RedisShared(stack.url("redis"), timeout_ms=10_000)
    yield found
    asyncio.run(found.close())


def streamed(engine: Engine, shared: RedisShared, blocks: Sequence[Columns]) -> np.ndarray:
    async def run() -> list[np.ndarray]:
        made = []
        for block in blocks:
            pending = engine.begin(block)
            known = await shared.exchange(pending.asked)
            assert known is not None
            made.append(engine.finish(pending, known))
        return made

    return np.concatenate(asyncio.run(run()))


def down() -> float:
    return VELOCITY_DOWN._value.get()


@pytest.mark.services
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(columns(), edges)
def test_the_same_features_as_from_memory(
    found: RedisShared, client: redis.Redis, traffic: Columns, at: list[int]
) -> None:
    client.delete(*client.keys("viewledger:{*}:*"), "x")
    expected = Engine(ALL).observe(traffic)
    assert len(expected[0:1].T) == len(FEATURES)
    np.testing.assert_array_equal(expected, streamed(Engine(ALL), found, cut(traffic, at)))


@pytest.mark.services
def test_the_same_features_over_months_of_little_traffic(found: RedisShared) -> None:
    traffic = draw_traffic(np.random.default_rng(7), rows=900, few=6)
    blocks = cut(traffic, list(range(0, 900, 3)))
    expected = Engine(ALL).observe(traffic)
    np.testing.assert_array_equal(expected, streamed(Engine(ALL), found, blocks))


@pytest.mark.services
def test_more_entities_than_one_run_of_the_script_takes(found: RedisShared) -> None:
    n = 2 * module._CHUNK + 500
    block = {name: np.repeat(column[:1], n) for name, column in TRAFFIC.items()}
    block["device"] = np.arange(1, n + 1).astype(np.uint64)
    late = {**block, "seen": block["seen"] + 3_000, "time": block["time"] + 3_000}
    engine = Engine(ALL)
    expected = np.concatenate([engine.observe(block), engine.observe(late)])
    np.testing.assert_array_equal(expected, streamed(Engine(ALL), found, [block, late]))


@pytest.mark.services
def test_partitions_know_of_each_other(found: RedisShared) -> None:
    times = [START, START + 1_000, START + 2_000]
    views = [
        {name: column[:1] for name, column in TRAFFIC.items()}
        | {"seen": np.array([at]), "time": np.array([at])}
        for at in times
    ]
    gaps = [
        streamed(new_engine(), found, [view])[0, NAMES.index("ip_gap_s")] for view in views
    ]  # each by a partition that has seen nothing else
    assert np.isnan(gaps[0])
    assert gaps[1:] == [(b - a) / 1e3 for a, b in pairwise(times)]


@pytest.mark.services
def test_blocks_over_the_end_of_a_stretch_do_not_undo_each_other(found: RedisShared) -> None:
    # All traffic is in stretches of 20 minutes; a block of each partition is on both sides.
    edge = START - START % 1_200_000 + 1_200_000
    spanning = {name: column[:2] for name, column in TRAFFIC.items()}
    spanning |= {"seen": np.array([edge - 1, edge + 1]), "time": np.array([edge - 1, edge + 1])}
    later = {name: column[:1] for name, column in TRAFFIC.items()}
    later |= {"seen": np.array([edge + 2]), "time": np.array([edge + 2])}
    engine, blocks = Engine(ALL), [spanning, spanning, spanning, later]
    expected = np.concatenate([engine.observe(block) for block in blocks])
    by_partitions = [streamed(Engine(ALL), found, [block]) for block in blocks]
    at = [feature.name for feature in FEATURES].index("campaign_share_10m")
    assert by_partitions[-1][0, at] == expected[-1, at]


@pytest.mark.services
def test_what_is_remembered_expires(found: RedisShared, client: redis.Redis) -> None:
    engine = Engine(ALL)
    streamed(engine, found, [TRAFFIC])
    for family in engine.families:
        if not family.local:
            name = f"viewledger:{{{'.'.join(family.of) or 'all'}}}:*".encode()
            (key,) = client.keys(name)
            assert 0 < client.pttl(key) <= 2 * family.keep_ms


@pytest.mark.services
def test_without_redis_features_of_viewers_are_known_and_those_shared_are_not(
    found: RedisShared,
) -> None:
    engine = new_engine()
    matrix = engine.finish(engine.begin(TRAFFIC), None)
    known = dict(zip(NAMES, ~np.isnan(matrix).any(axis=0), strict=True))
    assert known["viewer_views_10m"]
    assert not any(known[name] for name in NAMES if name.startswith(("ip_", "device_", "post_")))


def test_a_silent_server_costs_a_timeout_then_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 3600)
    asked = new_engine().begin(TRAFFIC).asked

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections, says nothing
            host, port = server.getsockname()
            found = RedisShared(f"redis://{host}:{port}/0", timeout_ms=20)
            for _ in range(module._MOST_FAILURES):
                assert await found.exchange(asked) is None
            assert down() == 1
            monkeypatch.setattr(found, "_script", None)  # asked again, it would raise
            assert await found.exchange(asked) is None

    asyncio.run(run())


@pytest.mark.services
def test_comes_back_by_itself(found: RedisShared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.05)
    asked = new_engine().begin(TRAFFIC).asked

    async def run() -> None:
        working = found._script
        monkeypatch.setattr(found, "_script", RedisShared("redis://127.0.0.1:1/0", 100)._script)
        for _ in range(module._MOST_FAILURES + 1):
            assert await found.exchange(asked) is None
        assert down() == 1
        monkeypatch.setattr(found, "_script", working)
        await asyncio.sleep(0.1)
        assert await found.exchange(asked) is not None
        assert down() == 0

    asyncio.run(run())
