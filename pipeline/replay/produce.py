"""Messages into `views.raw`, each acknowledged by all replicas or counted as failed."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from pipeline.cli.problems import Problem
from schemas.kafka_url import KafkaUrl
from schemas.topics import RAW

Message = tuple[bytes | None, bytes]
_BATCH = 1_000
_ANSWER_SECONDS = 15.0


class Produced(NamedTuple):
    """What became of the messages."""

    read: int
    sent: int
    """Acknowledged."""
    rejected: Counter[str]
    """Turned away by the collector, by its reason."""
    failed: Counter[str]
    """Not delivered, by reason."""
    interrupted: bool


def connect(url: str, failed: Counter[str]) -> Producer:
    """A producer for `views.raw`; every message that is not delivered is counted in `failed`.

    Raises:
        Problem: Kafka does not answer, or has no such topic.
    """

    def report(error: KafkaError | None, message: Any) -> None:
        if error is not None:
            failed[error.str()] += 1

    producer = Producer(
        {
            **KafkaUrl.parse(url).for_confluent(),
            "enable.idempotence": True,
            "acks": "all",
            # The partitioner of the SDKs: every retry of an event lands in one partition.
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 20,
            "batch.num.messages": 10_000,
            "message.max.bytes": 16 * 1024 * 1024,
            "queue.buffering.max.messages": 200_000,
            "delivery.report.only.error": True,
            "on_delivery": report,
            # What it would print goes into the summary instead.
            "log_level": 0,
        }
    )
    try:
        topic = producer.list_topics(RAW, timeout=_ANSWER_SECONDS).topics[RAW]
    except KafkaException as error:
        raise Problem(f"Kafka does not answer: {error.args[0].str()}; is `up` running?") from None
    if topic.error is not None:
        raise Problem(f"Kafka has no topic {RAW} ({topic.error.str()}): run `viewledger up`")
    return producer


def produce(
    producer: Producer,
    messages: Iterable[Message],
    failed: Counter[str],
    rate: float | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Produced:
    """Sends all messages, or those up to Ctrl-C, and waits for their acknowledgements.

    Args:
        messages: key and value.
        failed: the counter that `producer` was made with.
        rate: messages per second; as fast as possible if None.
    """
    read, interrupted = 0, False
    batch = _BATCH if rate is None else max(1, min(_BATCH, int(rate / 20)))
    started = time.monotonic()
    stream: Iterator[Message] = iter(messages)
    try:
        while part := list(islice(stream, batch)):
            for key, value in part:
                _enqueue(producer, key, value, failed)
                read += 1
            producer.poll(0)
            on_progress(len(part))
            if rate is not None:
                time.sleep(max(0.0, started + read / rate - time.monotonic()))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        # A second Ctrl-C stops the waiting.
        with suppress(KeyboardInterrupt):
            producer.flush()
    if waiting := len(producer):
        failed["not acknowledged when it was interrupted"] += waiting
    return Produced(read, read - failed.total(), Counter(), failed, interrupted)


def _enqueue(producer: Producer, key: bytes | None, value: bytes, failed: Counter[str]) -> None:
    while True:
        try:
            producer.produce(RAW, value, key)
        except BufferError:
            producer.poll(0.05)
        except KafkaException as error:
            failed[error.args[0].str()] += 1
            return
        else:
            return
