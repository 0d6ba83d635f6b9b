"""What the collector is compared with: HTTP that does nothing, and producing without HTTP."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import uvloop
from confluent_kafka import Consumer, Producer, TopicPartition

from bench.measure import Measured, Stopwatch, pin
from pipeline.collector.produce import Headers, Message, config, enqueue
from pipeline.collector.serve import server_of
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW

_UNDER_WAY = 20_000
_POLL_S = 0.002
_PATIENCE_S = 30
_PASSES = 3
Pairs = list[tuple[bytes, bytes]]


@contextmanager
def empty_handler(settings: Settings, port: int, headers: Pairs, body: bytes) -> Iterator[int]:
    """Granian as the collector starts it, serving nothing but this answer; its process id."""
    process = get_context("spawn").Process(
        target=_serve_nothing, args=(settings, port, headers, body), daemon=True
    )
    process.start()
    try:
        assert process.pid
        asyncio.run(_listening(str(settings.collector_host), port))
        pin(process.pid)
        yield process.pid
    finally:
        process.kill()
        process.join()


def produce_alone(settings: Settings, events: int, batch: int) -> Measured:
    """The collector's producer, fed three times with what a collector last wrote.

    Args:
        events: as many of them.
        batch: that share their headers, as those of a request do.
    """
    messages, headers = _written(settings, events)
    chunks = [messages[at : at + batch] for at in range(0, len(messages), batch)]
    failed: list[Any] = []

    def report(error: Any, _message: object) -> None:
        if error is not None:
            failed.append(error)

    producer = Producer(config(settings))
    producer.list_topics(RAW, timeout=_PATIENCE_S)

    def feed(some: list[list[Message]]) -> None:
        for chunk in some:
            enqueue(producer, chunk, headers, report)
            producer.poll(0)
            _wait(producer, _UNDER_WAY)
        _wait(producer, 0)

    feed(chunks[: len(chunks) // 10])  # to warm up
    watch = Stopwatch()
    feed(chunks * _PASSES)
    measured = watch.stop(_PASSES * len(messages))
    assert not failed, failed[0]
    return measured


def _wait(producer: Producer, most: int) -> None:
    while len(producer) > most:
        producer.poll(_POLL_S)


def _written(settings: Settings, events: int) -> tuple[list[Message], Headers]:
    """The newest of views.raw, one of each partition in turn, and the headers of one."""
    consumer = Consumer(
        {
            **KafkaUrl.parse(settings.url("kafka")).for_confluent(),
            "group.id": "bench",
            "enable.auto.commit": False,
        }
    )
    share = events // settings.partitions
    columns: list[list[Message]] = []
    headers: Headers = []
    for partition in range(settings.partitions):
        _, end = consumer.get_watermark_offsets(TopicPartition(RAW, partition), timeout=10)
        consumer.assign([TopicPartition(RAW, partition, max(0, end - share))])
        column: list[Message] = []
        while len(column) < min(share, end):
            found = consumer.consume(min(10_000, min(share, end) - len(column)), timeout=10)
            assert found, f"views.raw ends early in partition {partition}"
            column += [(message.key().decode(), message.value()) for message in found]
            headers = found[-1].headers()
        columns.append(column)
    consumer.close()
    return [message for row in zip(*columns, strict=False) for message in row], headers


def _serve_nothing(settings: Settings, port: int, headers: Pairs, body: bytes) -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def serve() -> None:
        await server_of(answer, settings, port).serve()

    uvloop.run(serve())


async def _listening(host: str, port: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
