"""Reading and writing one partition of `views.scored`: the only way to touch the log."""

from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.fencing import Stamp, from_headers, to_headers
from schemas.kafka_url import KafkaUrl
from schemas.topics import RAW, REJECTED, SCORED

_MAX_MESSAGE = 20 * 1024 * 1024
_KEPT_VALUE, _KEPT_KEY = 15 * 1024 * 1024, 64 * 1024
"""Bytes of a refused event that are kept: so many can be sent to `views.raw` again."""


class ScoredLog:
    """One partition of `views.scored`, read from a given offset on, and appended to."""

    def __init__(self, kafka: KafkaUrl, partition: int) -> None:
        self._partition = partition
        # Idempotent: it neither loses, doubles nor reorders while it lives.
        self._producer = AIOKafkaProducer(
            **kafka.for_aiokafka(),
            acks="all",
            enable_idempotence=True,
            max_request_size=_MAX_MESSAGE,
            max_batch_size=1024 * 1024,
            request_timeout_ms=30_000,
        )
        self._tp = TopicPartition(SCORED, partition)
        self._consumer = AIOKafkaConsumer(
            **kafka.for_aiokafka(),
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=16 * 1024 * 1024,
            fetch_max_wait_ms=100,
        )

    async def __aenter__(self) -> "ScoredLog":
        await self._consumer.start()
        self._consumer.assign([self._tp])
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()
        await self._consumer.stop()

    async def begin(self) -> int:
        """The first offset that the partition still holds."""
        return int((await self._consumer.beginning_offsets([self._tp]))[self._tp])

    async def end(self) -> int:
        """The offset that the next message will get."""
        return int((await self._consumer.end_offsets([self._tp]))[self._tp])

    async def raw_range(self) -> tuple[int, int]:
        """The first and the next offset of the same partition of `views.raw`."""
        tp = TopicPartition(RAW, self._partition)
        begin = await self._consumer.beginning_offsets([tp])
        end = await self._consumer.end_offsets([tp])
        return int(begin[tp]), int(end[tp])

    def seek(self, offset: int) -> None:
        """Reads from `offset` on."""
        self._consumer.seek(self._tp, offset)

    async def read(self, until: int | None = None) -> AsyncIterator[list[tuple[Any, Stamp]]]:
        """Messages with their stamps, in batches, up to the offset `until`, or for ever.

        Raises:
            ValueError: a message was not written by viewledger.
        """
        position = await self._consumer.position(self._tp)
        while until is None or position < until:
            fetched = await self._consumer.getmany(self._tp, timeout_ms=200, max_records=500)
            records = fetched.get(self._tp, [])
            position = await self._consumer.position(self._tp)
            if until is not None:
                records = [record for record in records if record.offset < until]
            if records:
                yield [(record, from_headers(record.headers)) for record in records]

    async def append(self, stamp: Stamp, value: bytes | None = None) -> int:
        """Appends a message and waits for its offset."""
        return int((await (await self.send(stamp, value))).offset)

    async def send(self, stamp: Stamp, value: bytes | None = None) -> Any:
        """Appends a message; the returned future ends when the broker has it."""
        return await self._producer.send(
            SCORED,
            value,
            key=stamp.kind.encode(),  # a marker has no value, and aiokafka wants one of them
            partition=self._partition,
            headers=to_headers(stamp),
        )

    async def reject(self, value: bytes | None, key: bytes | None, headers: Any) -> Any:
        """Writes to the same partition of `views.rejected`.

        A batch that is packed well may hold more than a message of ours can: of that the
        beginning is kept, which is refused for the same reason as all of it.
        """
        value = None if value is None else value[:_KEPT_VALUE]
        key = None if key is None else key[:_KEPT_KEY]
        if value is None and key is None:
            value = b""  # aiokafka wants one of them; an empty event is none, either
        return await self._producer.send(
            REJECTED, value, key=key, partition=self._partition, headers=headers
        )
