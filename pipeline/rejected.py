"""The topic views.rejected: reading it, and sending events to views.raw again after a fix.

The topic is at-least-once and keeps the original bytes; whether an event was refused is said by
the log, as the table `views_rejected` has it. A message that the log does not confirm is left
alone: a scorer that had lost its partition wrote it, or its block is not stored yet.
"""

import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.offsets import topic_ranges
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import REJECTED

_BATCH = 5_000
_POLL_S = 0.2
_ANSWER_S = 30.0
_IPV4 = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")


class RejectedError(Exception):
    """Why views.rejected cannot be read, or not be replayed, and what to do."""


class Rejected(NamedTuple):
    """A message of views.rejected."""

    partition: int
    raw_offset: int
    refusal: str
    detail: str
    log_time: int
    """ms; of the first attempt, however often it was replayed."""
    key: bytes | None
    value: bytes | None


def read_rejected(settings: Settings, since_ms: int | None = None) -> Iterator[list[Rejected]]:
    """All messages up to the present end, in batches of one partition each.

    Args:
        since_ms: leaves out those that were written before.

    Raises:
        KafkaException: Kafka does not answer.
        RejectedError: a message was not written by viewledger.
    """
    config = KafkaUrl.parse(settings.url("kafka")).for_confluent()
    ends = {p: end for p, (first, end) in topic_ranges(settings, REJECTED).items() if end > first}
    consumer = Consumer(
        config
        | {
            "group.id": "viewledger-rejected",  # never committed to
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 20 * 1024 * 1024,
            "log_level": 0,
        }
    )
    try:
        starts = [TopicPartition(REJECTED, p, OFFSET_BEGINNING) for p in ends]
        if since_ms is not None and starts:
            times = [TopicPartition(REJECTED, p, since_ms) for p in ends]
            starts = consumer.offsets_for_times(times, timeout=_ANSWER_S)
        consumer.assign(starts)
        silent_since = time.monotonic()
        while ends:
            # It waits until the batch is full, or for so long.
            if messages := consumer.consume(_BATCH, timeout=_POLL_S):
                yield from _by_partition(messages, ends)
                silent_since = time.monotonic()
            elif time.monotonic() > silent_since + _ANSWER_S:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    finally:
        consumer.close()


def _by_partition(messages: list[Any], ends: dict[int, int]) -> Iterator[list[Rejected]]:
    """Sorts one poll by partition and takes from `ends` the partitions that are done."""
    found: dict[int, list[Rejected]] = {}
    for message in messages:
        error, partition = message.error(), message.partition()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        if error is None and partition in ends:
            found.setdefault(partition, []).append(_parse(message))
        if error is not None or message.offset() + 1 >= ends.get(partition, 0):
            ends.pop(partition, None)
    yield from found.values()


def _parse(message: Any) -> Rejected:
    headers = {name: value.decode() for name, value in message.headers() or ()}
    try:
        return Rejected(
            int(headers["raw_partition"]),
            int(headers["raw_offset"]),
            headers["refusal"],
            headers["detail"],
            int(headers["log_time"]),
            message.key(),
            message.value(),
        )
    except (KeyError, ValueError) as error:
        raise RejectedError(
            f"message {message.offset()} of partition {message.partition()} of {REJECTED} was not "
            f"written by viewledger: header {error}"
        ) from None


def find_messages(
    settings: Settings, coordinates: set[tuple[int, int]], since_ms: int
) -> dict[tuple[int, int], Rejected]:
    """The messages of some raw coordinates, written at `since_ms` or later, as far as found."""
    found: dict[tuple[int, int], Rejected] = {}
    for batch in read_rejected(settings, since_ms):
        found |= {
            at: one for one in batch if (at := (one.partition, one.raw_offset)) in coordinates
        }
        if len(found) == len(coordinates):
            break
    return found


def excerpt(value: bytes | None, length: int = 160) -> str:
    """The beginning of an event for the screen: addresses masked, control characters escaped."""
    if not value:
        return ""
    # The margin, so that an address that the end cuts in two is masked as well.
    text = value[: 4 * length + 64].decode("utf-8", "backslashreplace")
    text = _IPV6.sub("[address]", _IPV4.sub("[address]", text))
    text = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
    return text if len(text) <= length else text[: length - 1] + "…"
