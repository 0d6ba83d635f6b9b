"""Waits until every event that is in views.raw now is in ClickHouse and in the ledger."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import psycopg
from clickhouse_connect.driver.exceptions import Error as ClickHouseError
from confluent_kafka import KafkaException

from pipeline.offsets import topic_ranges
from schemas.settings import Settings
from schemas.topics import RAW
from sinks import book, clickhouse, postgres, store

_POLL_S = 0.2
_DOWN = (KafkaException, ClickHouseError, psycopg.OperationalError, OSError)
"""A service that does not answer; it may be about to come back."""


class Behind(NamedTuple):
    """A partition that a sink has not done yet."""

    sink: str
    partition: int
    next_raw: int
    end: int

    def __str__(self) -> str:
        return (
            f"{self.sink} is {self.end - self.next_raw:,} events behind in partition "
            f"{self.partition} (at {self.next_raw:,} of {self.end:,})"
        )


class DrainError(Exception):
    """The time is over; says which sink is behind, where, and by how much."""


def drain(
    settings: Settings,
    timeout: float | None = None,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Returns when both sinks have reached the present end of views.raw.

    A service that does not answer is asked again until the time is over.

    Args:
        timeout: seconds; None waits for ever.
        show: called with the events done by the slower sink and the events there are.

    Raises:
        DrainError: it took longer.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    ends: dict[int, int] | None = None
    while True:
        try:
            if ends is None:
                ends = {p: end for p, (_, end) in topic_ranges(settings, RAW).items()}
            behind = find_behind(settings, ends)
            if not behind:
                return
            show(sum(ends.values()) - _most(behind), sum(ends.values()))
            reason = "; ".join(map(str, behind))
        except _DOWN as error:
            reason = f"a service does not answer: {error}"
        if deadline is not None and time.monotonic() >= deadline:
            raise DrainError(f"not drained after {timeout:g} s: {reason}")
        time.sleep(_POLL_S)


def find_behind(settings: Settings, ends: Mapping[int, int]) -> list[Behind]:
    """Which partitions have not reached their end, in which sink."""
    client = clickhouse.connect(settings.url("clickhouse"))
    try:
        stored = store.load_progress(client)
    finally:
        client.close()
    with postgres.connect(settings, "viewledger-drain") as conn:
        booked = book.load_progress(conn)
    return [
        Behind(sink, partition, at, end)
        for sink, progress in (("store", stored), ("book", booked))
        for partition, end in ends.items()
        if (at := progress[partition].position.next_raw if partition in progress else 0) < end
    ]


def _most(behind: list[Behind]) -> int:
    """Events that the slower sink has to do yet."""
    left = {"store": 0, "book": 0}
    for one in behind:
        left[one.sink] += one.end - one.next_raw
    return max(left.values())
