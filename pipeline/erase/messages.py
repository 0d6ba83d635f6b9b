"""Whole topics, message by message: read, copied with their times and headers, compared."""

from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from pipeline.offsets import topic_ranges
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings

_BATCH = 500
_SILENT = 150
"""Polls of 0.2 s without a message, after which Kafka does not answer."""
_MAX_MESSAGE = 20 * 1024 * 1024


class CopyError(Exception):
    """A topic is not what it must be; says what, where, and what to do."""


class Message(NamedTuple):
    """All that a message is."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def read(settings: Settings, topic: str, partition: int) -> Iterator[Message]:
    """The messages of a partition up to its present end."""
    first, end = topic_ranges(settings, topic)[partition]
    if end == first:
        return
    consumer = Consumer(
        KafkaUrl.parse(settings.url("kafka")).for_confluent()
        | {
            "group.id": "viewledger-erase",  # never committed to
            "enable.auto.commit": False,
            "enable.partition.eof": True,  # the last offsets may be marks of transactions
            "fetch.message.max.bytes": _MAX_MESSAGE,
            "queued.max.messages.kbytes": 65_536,
            "log_level": 0,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, partition, first)])
        silent = 0
        while silent < _SILENT:
            messages = consumer.consume(_BATCH, timeout=0.2)
            silent = 0 if messages else silent + 1
            for message in messages:
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                if error is not None or message.offset() >= end:
                    return
                yield _plain(message)
                if message.offset() + 1 == end:
                    return
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    finally:
        consumer.close()


def _plain(message: Any) -> Message:
    return Message(
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        message.headers() or [],
    )


def without_gaps(messages: Iterator[Message], where: str) -> Iterator[Message]:
    """The same messages, whose offsets count from 0.

    Raises:
        CopyError: they do not.
    """
    for number, message in enumerate(messages):
        if message.offset != number:
            raise CopyError(
                f"{where}: offset {number} is not there, the next one is {message.offset}. It was "
                "trimmed, compacted or written by transactions, so a copy would move offsets"
            )
        yield message


def copy(
    settings: Settings,
    source: Callable[[int], Iterator[Message]],
    target: str,
    partitions: int,
    show: Callable[[int], None],
) -> int:
    """Appends the messages of `source(partition)` to an empty topic, which has times of creation.

    Returns how many.

    Raises:
        CopyError: a message did not get the place that it should have.
        KafkaException: Kafka did not take one.
    """
    producer = Producer(
        KafkaUrl.parse(settings.url("kafka")).for_confluent()
        | {
            "enable.idempotence": True,
            "acks": "all",
            "message.max.bytes": _MAX_MESSAGE,
            "queue.buffering.max.kbytes": 65_536,
            "linger.ms": 20,
            "log_level": 0,
        }
    )
    wrong: list[str] = []
    copied = 0

    def delivered(wanted: int, error: Any, message: Any) -> None:
        if error is not None:
            wrong.append(error.str())
        elif message.offset() != wanted:
            wrong.append(
                f"{target}[{message.partition()}]: {message.offset()} in the place of {wanted}: "
                "somebody else writes to it"
            )

    for partition in range(partitions):
        for number, message in enumerate(source(partition)):
            while True:
                try:
                    producer.produce(
                        target,
                        message.value,
                        message.key,
                        partition,
                        on_delivery=partial(delivered, number),
                        timestamp=message.timestamp,
                        headers=message.headers,
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
            if wrong:
                break
            copied += 1
            show(copied)
    left = producer.flush(60)
    if wrong or left:
        raise CopyError(wrong[0] if wrong else f"{target}: Kafka did not take {left:,} messages")
    return copied


def digests(settings: Settings, topic: str, partitions: int) -> dict[str, str]:
    """Partition → SHA-256 of all that its messages are, offsets included."""
    return {
        str(partition): digest(without_gaps(read(settings, topic, partition), topic))
        for partition in range(partitions)
    }


def digest(messages: Iterator[Message]) -> str:
    """SHA-256 of all that some messages are."""
    running = sha256()
    for message in messages:
        value = message.value
        shape = message._replace(value=None), value is None, len(value or b"")
        running.update(repr(shape).encode())
        running.update(value or b"")
    return running.hexdigest()
