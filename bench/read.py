"""`read`: merely reading views.raw with aiokafka, without decoding: the yardstick."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.measure import Measured, Stopwatch, alone
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW

_PASSES = 3


def measure(settings: Settings, events: int) -> Measured:
    """The fastest of three passes over `events` messages, in a process of its own."""
    passes = alone(_passes, settings.url("kafka"), settings.block_rows, settings.partitions, events)
    return min(passes, key=lambda one: one.cpu_s)


def _passes(url: str, max_records: int, partitions: int, events: int) -> list[Measured]:
    return [asyncio.run(_pass(url, max_records, partitions, events)) for _ in range(_PASSES)]


async def _pass(url: str, max_records: int, partitions: int, events: int) -> Measured:
    """Fetches of the same size as those of `score`."""
    consumer = AIOKafkaConsumer(
        **KafkaUrl.parse(url).for_aiokafka(),
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    await consumer.start()
    try:
        tps = [TopicPartition(RAW, partition) for partition in range(partitions)]
        consumer.assign(tps)
        for tp, offset in (await consumer.beginning_offsets(tps)).items():
            consumer.seek(tp, offset)
        watch, seen = Stopwatch(), 0
        while seen < events:
            fetched = await consumer.getmany(timeout_ms=1000, max_records=max_records)
            seen += sum(map(len, fetched.values()))
        return watch.stop(seen)
    finally:
        await consumer.stop()
