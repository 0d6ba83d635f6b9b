"""One contract for both implementations of the counters, and how a block asks them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from models.counters import Asked, Counters, Family, LocalCounters, tally
from models.features import FAMILIES
from models.velocity import Velocity
from schemas.settings import Settings

HOUR = 3_600_000


@pytest.fixture(params=["local", pytest.param("redis", marks=pytest.mark.services)], scope="module")
def redis_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "local":
        yield None
        return
    stack: Settings = request.getfixturevalue("stack")
    yield stack.url("redis")


@asynccontextmanager
async def counters(url: str | None) -> AsyncIterator[Counters]:
    if url is None:
        yield LocalCounters()
        return
    velocity = Velocity(url, timeout_ms=5_000)
    velocity._redis.flushdb()
    yield velocity
    await velocity.close()


_BLOCKS = st.lists(
    st.dictionaries(
        st.tuples(st.integers(0, len(FAMILIES) - 1), st.integers(0, 3), st.integers(0, 5)),
        st.tuples(st.integers(0, 65_535), st.integers(0, 65_535)),
        min_size=1,
        max_size=20,
    ),
    max_size=5,
)


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
@given(_BLOCKS)
def test_say_what_was_counted_before(redis_url: str | None, blocks: list[dict]) -> None:
    async def run() -> None:
        expected = Counter[tuple]()
        async with counters(redis_url) as found:
            for block in blocks:
                keys = sorted(block)
                asked = Asked(
                    np.array([family for family, _, _ in keys], np.uint8),
                    np.array([bucket << 48 | entity for _, bucket, entity in keys], np.uint64),
                )
                increments = np.array([block[key] for key in keys], np.uint32)
                before = await found.add(asked, increments)
                assert before is not None
                assert before.tolist() == [
                    [expected[key, "views"], expected[key, "new"]] for key in keys
                ]
                for key in keys:
                    expected[key, "views"] += block[key][0]
                    expected[key, "new"] += block[key][1]

    asyncio.run(run())


def test_count_more_keys_than_one_command_takes(redis_url: str | None) -> None:
    n = 20_000
    asked = Asked(np.zeros(n, np.uint8), np.arange(n, dtype=np.uint64) | np.uint64(7 << 48))
    increments = np.ones((n, 2), np.uint32)

    async def run() -> None:
        async with counters(redis_url) as found:
            assert not (await found.add(asked, increments)).any()
            assert ((await found.add(asked, increments)) == 1).all()

    asyncio.run(run())


_ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),  # entity
        st.integers(0, 5 * HOUR),  # viewed_at
        st.booleans(),  # new viewer
        st.booleans(),  # whether the family applies
    ),
    min_size=1,
    max_size=60,
)


@given(_ROWS)
def test_each_row_gets_what_earlier_rows_add(rows: list[tuple]) -> None:
    family = Family("x", HOUR)
    entity, at, new, applies = (np.array(column) for column in zip(*rows, strict=True))
    asked, increments, (found,) = tally((family,), [entity.astype(np.uint64)], [applies], at, new)
    assert (np.diff(asked.key.astype(object)) > 0).all()
    before = Counter[tuple]()
    for i, (_, _, is_new, mine) in enumerate(rows):
        counter = found.counter[i]
        assert (counter >= 0) == mine
        if mine:
            # A counter is of one entity and one hour of the entity's own clock.
            assert {rows[j][0] for j in np.flatnonzero(found.counter == counter)} == {rows[i][0]}
            assert np.ptp(at[found.counter == counter]) < HOUR
            assert found.before[:, i].tolist() == [before[counter, "all"], before[counter, "new"]]
            before[counter, "all"] += 1
            before[counter, "new"] += is_new
    totals = [[before[c, "all"], before[c, "new"]] for c in range(len(asked.key))]
    assert increments.tolist() == totals
