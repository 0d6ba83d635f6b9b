"""`latency`: from produce to visible in ClickHouse, at a constant rate.

An event is due at start + i / rate and is timed from then, so a sender that falls behind does
not hide it. It is visible when ClickHouse first answers with a row of `blocks` that covers it:
that row is written after the rows of `views` and `views_rejected`.
"""

import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from confluent_kafka import Producer

from pipeline.offsets import topic_ranges
from pipeline.replay.produce import Message
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW
from sinks import clickhouse

_POLL_S = 0.05
_TICK_S = 0.01
_PATIENCE_S = 120

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Sent(NamedTuple):
    """n events as they were sent."""

    due: Floats
    """Seconds, of `time.perf_counter`."""
    partition: Ints
    offset: Ints


class Seen(NamedTuple):
    """k answers of ClickHouse."""

    at: Floats
    next_raw: Ints
    """By partition, shape (k, partitions)."""


def measure(settings: Settings, messages: Sequence[Message], rate: float) -> dict[str, Any]:
    """Sends messages at `rate` per second and waits until all are visible."""
    watcher = _Watcher(settings)
    watcher.start()
    try:
        sent = _send(settings, messages, rate)
        ends = [end for _, (_, end) in sorted(topic_ranges(settings, RAW).items())]
        late = time.perf_counter()
        watcher.wait_for(ends)
    finally:
        watcher.stop()
    seen = watcher.seen()
    return {
        "events": len(messages),
        "rate_per_s": rate,
        "wall_s": float(late - sent.due[0]),
        "visible_s": _quantiles(latencies(sent, seen)),
        **_legs(settings, len(messages)),
        "resolution_s": float(np.median(np.diff(seen.at))),
    }


def latencies(sent: Sent, seen: Seen) -> Floats:
    """Seconds from due to visible for each event, float64[n].

    Raises:
        IndexError: an event was never seen.
    """
    waited = np.empty(len(sent.due))
    for partition in np.unique(sent.partition).tolist():
        rows = sent.partition == partition
        # The first answer that covers the offset.
        first = np.searchsorted(seen.next_raw[:, partition], sent.offset[rows], side="right")
        waited[rows] = seen.at[first] - sent.due[rows]
    return waited


def _quantiles(values: Floats) -> dict[str, float]:
    """p50, p99 and the longest."""
    found = np.quantile(values, [0.5, 0.99, 1]).tolist()
    return dict(zip(("p50", "p99", "max"), found, strict=True))


def _legs(settings: Settings, newest: int) -> dict[str, Any]:
    """Of about the newest views: from the raw to the scored log, from there to the table."""
    client = clickhouse.connect(settings.url("clickhouse"))
    found = client.query(
        "SELECT (toUnixTimestamp64Milli(scored_time) - toUnixTimestamp64Milli(log_time)) / 1e3,"
        " (toUnixTimestamp64Milli(stored_at) - toUnixTimestamp64Milli(scored_time)) / 1e3,"
        " raw_next - raw_from"
        " FROM views JOIN blocks USING (partition, scored_offset)"
        " ORDER BY log_time DESC LIMIT {newest:UInt64}",
        {"newest": newest * 9 // 10},  # some of the events are not accepted
    )
    client.close()
    scored, stored, rows = (np.array(column, np.float64) for column in found.result_columns)
    return {
        "scored_s": _quantiles(scored),
        "stored_s": _quantiles(stored),
        "block_rows": _quantiles(rows),
    }


def _send(settings: Settings, messages: Sequence[Message], rate: float) -> Sent:
    partitions = np.full(len(messages), -1, np.int64)
    offsets = np.full(len(messages), -1, np.int64)

    def delivered(i: int, error: Any, message: Any) -> None:
        assert error is None, error
        partitions[i], offsets[i] = message.partition(), message.offset()

    producer = Producer(
        {
            **KafkaUrl.parse(settings.url("kafka")).for_confluent(),
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 20,
            "message.max.bytes": 16 * 1024 * 1024,
            "log_level": 0,
        }
    )
    producer.list_topics(RAW, timeout=15)
    start, i = time.perf_counter(), 0
    while i < len(messages):
        due = min(len(messages), int((time.perf_counter() - start) * rate) + 1)
        for key, value in messages[i:due]:
            producer.produce(RAW, value, key, on_delivery=partial(delivered, i))
            i += 1
        producer.poll(0)
        time.sleep(_TICK_S)
    producer.flush()
    return Sent(start + np.arange(len(messages)) / rate, partitions, offsets)


class _Watcher(threading.Thread):
    """Asks ClickHouse how far it is, over and over."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._client = clickhouse.connect(settings.url("clickhouse"))
        self._partitions = settings.partitions
        self._at: list[float] = []
        self._next_raw: list[list[int]] = []
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(_POLL_S):
            found = self._client.query("SELECT partition, max(raw_next) FROM blocks GROUP BY 1")
            known = dict(cast(list[tuple[int, int]], found.result_rows))
            self._next_raw.append([known.get(one, 0) for one in range(self._partitions)])
            self._at.append(time.perf_counter())

    def wait_for(self, ends: list[int]) -> None:
        """Returns when ClickHouse has everything before `ends`."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self._next_raw or any(map(int.__lt__, self._next_raw[-1], ends)):
            if not self.is_alive() or time.monotonic() > deadline:
                raise TimeoutError(f"ClickHouse is at {self._next_raw[-1:]} of {ends}")
            time.sleep(_POLL_S)
        time.sleep(2 * _POLL_S)  # the answer's time is noted after the answer

    def stop(self) -> None:
        """Asks no more."""
        self._over.set()
        self.join()
        self._client.close()

    def seen(self) -> Seen:
        """All answers so far."""
        return Seen(np.array(self._at), np.array(self._next_raw, np.int64))
