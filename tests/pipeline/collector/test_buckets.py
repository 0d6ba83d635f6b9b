import secrets
import time
from collections.abc import Iterator

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collector.buckets import PERIOD_S, SCRIPT, Bucket, LocalBuckets, Spend
from schemas.settings import Settings

ONE = Bucket("one", 100)
OTHER = Bucket("other", 10)


def of(bucket: Bucket, events: int) -> Spend:
    return Spend((bucket,), events)


def test_a_bucket_is_spent_and_fills_up_again() -> None:
    buckets = LocalBuckets()
    assert buckets.spend(of(ONE, 60), 1000.0) == 0
    assert buckets.spend(of(ONE, 40), 1000.0) == 0
    assert buckets.spend(of(ONE, 1), 1000.0) == pytest.approx(0.6)
    assert buckets.spend(of(ONE, 50), 1000.0) == pytest.approx(30)
    assert buckets.spend(of(ONE, 50), 1030.001) == 0
    # However long it was left alone, there is no more in it than it holds.
    assert buckets.spend(of(ONE, 100), 2000.0) == 0
    assert buckets.spend(of(ONE, 1), 2000.0) == pytest.approx(0.6)


def test_the_wait_that_is_named_is_long_enough() -> None:
    buckets = LocalBuckets()
    now = 5.0
    assert buckets.spend(of(ONE, 100), now) == 0
    for events in (1, 30, 100, 250):
        wait = buckets.spend(of(ONE, events), now)
        assert wait > 0
        now += wait + 1e-6
        assert buckets.spend(of(ONE, events), now) == 0


def test_a_request_that_is_refused_takes_nothing_from_any_bucket() -> None:
    buckets = LocalBuckets()
    assert buckets.spend(of(OTHER, 10), 0.0) == 0
    for _ in range(100):
        assert buckets.spend(Spend((ONE, OTHER), 1), 0.0) == pytest.approx(6)
    assert buckets.spend(of(ONE, 100), 0.0) == 0


def test_what_is_bigger_than_a_bucket_is_let_in_and_made_up_for() -> None:
    buckets = LocalBuckets()
    assert buckets.spend(of(OTHER, 25), 0.0) == 0
    assert buckets.spend(of(OTHER, 25), 1.0) == pytest.approx(2.5 * PERIOD_S - 1)
    assert buckets.spend(of(OTHER, 1), 0.0) == pytest.approx(1.6 * PERIOD_S)


def test_no_more_buckets_are_kept_than_said() -> None:
    buckets = LocalBuckets(most=3)
    used, asked = Bucket("used", 1000), Bucket("asked", 10)
    assert buckets.spend(of(asked, 10), 0.0) == 0
    for i in range(100):
        assert buckets.spend(of(used, 10), 0.0) == 0
        assert buckets.spend(of(asked, 1), 0.0) > 0
        assert buckets.spend(of(Bucket(f"flood {i}", 1), 1), 0.0) == 0
        assert len(buckets) <= 3
    # Neither what is in use nor what is refused again and again is forgotten.
    assert buckets.spend(of(used, 1), 0.0) > 0
    assert buckets.spend(of(asked, 1), 0.0) > 0


@given(
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, 100)), max_size=60),
    st.integers(1, 20),
)
def test_never_more_than_the_bucket_and_what_flowed_in(
    spends: list[tuple[int, float]], size: int
) -> None:
    buckets, now, taken, most = LocalBuckets(), 0.0, 0, 1
    for events, pause in spends:
        now += pause
        if buckets.spend(of(Bucket("b", size), events), now) == 0:
            taken += events
            most = max(most, events)
        assert taken <= max(size, most) + size * now / PERIOD_S + 1e-6


@pytest.fixture(scope="module")
def client(stack: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(stack.url("redis")) as client:
        yield client


@pytest.mark.services
# One event flows in within 3 s, so how long the test takes changes no decision.
@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 20)), min_size=1, max_size=2),
            st.integers(1, 30),
        ),
        min_size=1,
        max_size=20,
    ),
    st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_redis_decides_as_the_local_buckets_do(
    client: redis.Redis, wanted: list[tuple[list[tuple[str, int]], int]], at_once: bool
) -> None:
    run = secrets.token_hex(8)
    sizes: dict[str, int] = {}
    spends = [
        Spend(
            tuple(
                Bucket(f"{run}:{n}", sizes.setdefault(n, size)) for n, size in dict(named).items()
            ),
            events,
        )
        for named, events in wanted
    ]
    script, local, found = client.register_script(SCRIPT), LocalBuckets(), list[int]()
    for turn in [spends] if at_once else [[spend] for spend in spends]:
        numbers = [len(turn)]
        for spend in turn:
            numbers += [spend.events, len(spend.buckets), *(size for _, size in spend.buckets)]
        names = [name for spend in turn for name, _ in spend.buckets]
        found += script(keys=names, args=numbers)
    expected = [local.spend(spend, time.monotonic()) for spend in spends]
    assert [micros > 0 for micros in found] == [wait > 0 for wait in expected]
    assert [micros / 1e6 for micros in found] == pytest.approx(expected, abs=2)
    # None stays for longer than until it is full.
    for name in sizes:
        assert client.pttl(f"{run}:{name}") != -1


@pytest.mark.services
def test_a_script_of_no_events_is_fine(client: redis.Redis) -> None:
    name = secrets.token_hex(8)
    assert client.register_script(SCRIPT)(keys=[name], args=[1, 0, 1, 5]) == [0]
