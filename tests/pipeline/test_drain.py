import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from support.stores import catch_up, empty_store, stopped_clickhouse

from pipeline.drain import DrainError, drain, find_behind
from pipeline.offsets import topic_ranges
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW

pytestmark = pytest.mark.services


@pytest.fixture
def store(stack: Settings) -> Iterator[Settings]:
    """Sinks of their own that have done all but five events of partition 1."""
    found = empty_store(stack, "clickhouse", "postgres")
    catch_up(found, "store", "book")
    producer = Producer(KafkaUrl.parse(stack.url("kafka")).for_confluent())
    for _ in range(5):
        producer.produce(RAW, b"not a view", partition=1)
    producer.flush()
    return found


def test_says_who_is_behind(store: Settings) -> None:
    end = topic_ranges(store, RAW)[1][1]
    with pytest.raises(DrainError) as caught:
        drain(store, timeout=0.01)
    at = f"is 5 events behind in partition 1 (at {end - 5:,} of {end:,})"
    assert str(caught.value) == f"not drained after 0.01 s: store {at}; book {at}"
    catch_up(store, "store")
    with pytest.raises(DrainError) as caught:
        drain(store, timeout=0.01)
    assert str(caught.value) == f"not drained after 0.01 s: book {at}"
    catch_up(store, "book")
    drain(store, timeout=0.01)


def test_returns_when_it_is_done_and_shows_how_far_it_is(store: Settings) -> None:
    shown: list[tuple[int, int]] = []
    total = sum(end for _, end in topic_ranges(store, RAW).values())

    def show(done: int, there: int) -> None:
        shown.append((done, there))
        catch_up(store, "store" if len(shown) == 1 else "book")

    drain(store, timeout=60, show=show)
    assert shown == [(total - 5, total)] * 2


def test_events_that_come_later_are_not_waited_for(store: Settings) -> None:
    ends = {p: end - 5 if p == 1 else end for p, (_, end) in topic_ranges(store, RAW).items()}
    assert find_behind(store, ends) == []


def test_services_may_restart_meanwhile(store: Settings) -> None:
    catch_up(store, "store", "book")
    waiting = threading.Thread(target=drain, args=[store, 120])
    with stopped_clickhouse(store):
        with pytest.raises(DrainError, match="a service does not answer"):
            drain(store, timeout=0.01)
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
    waiting.join(60)
    assert not waiting.is_alive()
