"""One task per assigned partition, each fed with chunks that join up exactly.

A Faust agent gets the chunks of all partitions in one stream; `Feeds` hands each to the task
of its partition. A task says where its partition starts (`Feed.start`), then takes chunks
(`Feed.take`). What does not continue where the last one ended is cut or fetched again, so a
task never skips or repeats an offset, whatever rebalancing does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from pipeline.transport import Chunk, Consumer

log = structlog.get_logger()

_PAUSE_S = 0.5
_ENOUGH_RECORDS = 16_384
_ENOUGH_BYTES = 32 * 1024 * 1024
"""Fetched for a partition and not yet taken: of many small events, or of a few large blocks."""


class StartOverError(Exception):
    """The partition has to be taken up again from what the log, or the sink, says."""


class Feed:
    """The chunks of one partition, in order and without gaps."""

    def __init__(self, consumer: Consumer, tp: TP) -> None:
        self._consumer = consumer
        self._tp = tp
        self._chunks: asyncio.Queue[Chunk] = asyncio.Queue()
        self._records = self._bytes = 0
        self.next: int | None = None
        """The offset that comes next; None until `start`."""
        self.end = 0
        """The end of the partition as last seen."""
        self.done = 0
        """Everything before this offset is done, for good."""
        self.done_at_ms = 0
        """Log time of the newest message that is done."""
        self.restored = 0
        """How far the log was read to restore a state, before the first `start`."""
        self._started = False

    @property
    def partition(self) -> int:
        """The number of the partition."""
        return int(self._tp.partition)

    async def start(self, offset: int) -> None:
        """Reads from `offset` on."""
        self.next = self.done = offset
        self._started = True
        await self._consumer.start_at(self._tp, offset)

    def stop(self) -> None:
        """Reads no more until the next `start`; forgets what was fetched."""
        self.next = None
        self._consumer.stop_fetching(self._tp)
        while not self._chunks.empty():
            self._count(self._chunks.get_nowait(), -1)

    def restoring(self, offset: int) -> None:
        """Says how far the log was read before the first `start`; later ones are no progress."""
        if not self._started:
            self.restored = max(self.restored, offset)

    def finish(self, offset: int, log_time_ms: int) -> None:
        """Says that everything before `offset` is done."""
        self.done, self.done_at_ms = offset, log_time_ms

    def put(self, chunk: Chunk) -> None:
        """Hands in a chunk. It never waits: a partition with a lot to do is not fetched for a
        while, and holds up no other one.
        """
        self.end = max(self.end, chunk.end)
        if self.next is not None:
            self._count(chunk, 1)
            self._chunks.put_nowait(chunk)

    async def take(self) -> Chunk:
        """The next chunk, which starts exactly where the last one ended."""
        while True:
            chunk = await self._chunks.get()
            self._count(chunk, -1)
            assert self.next is not None, "start() comes before take()"
            if chunk.next <= self.next:
                continue
            if chunk.start > self.next:
                await self._consumer.start_at(self._tp, self.next)
                continue
            if chunk.start < self.next:
                chunk = chunk.since(self.next)
            self.next = chunk.next
            return chunk

    def _count(self, chunk: Chunk, sign: int) -> None:
        self._records += sign * len(chunk.records)
        self._bytes += sign * chunk.size
        full = self._records >= _ENOUGH_RECORDS or self._bytes >= _ENOUGH_BYTES
        self._consumer.hold(self._tp, full)


class Feeds:
    """Starts and ends the tasks of the partitions as they come and go."""

    def __init__(self, app: Any, topic: str, run: Callable[[Feed], Awaitable[None]]) -> None:
        self._app = app
        self._topic = topic
        self._run = run
        self._feeds: dict[int, Feed] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        app.on_partitions_assigned.connect(self._assigned)
        app.on_partitions_revoked.connect(self._revoked)

    def __iter__(self) -> Iterator[Feed]:
        return iter(list(self._feeds.values()))

    def put(self, chunk: Chunk) -> None:
        """Hands a chunk to its partition; one that is not ours any more is dropped."""
        feed = self._feeds.get(chunk.partition)
        if feed is not None:
            feed.put(chunk)

    async def _assigned(self, _app: Any, assigned: set[TP], **_kwargs: Any) -> None:
        consumer: Consumer = self._app.consumer
        consumer.next_offset = self._next_offset
        numbers = {int(tp.partition): tp for tp in assigned if tp.topic == self._topic}
        await self._end(self._feeds.keys() - numbers.keys())
        for number in sorted(numbers.keys() - self._feeds.keys()):
            feed = self._feeds[number] = Feed(consumer, numbers[number])
            self._tasks[number] = asyncio.create_task(self._guarded(feed))

    async def _revoked(self, _app: Any, revoked: set[TP], **_kwargs: Any) -> None:
        # Revoked partitions mostly come straight back: their tasks end in `_assigned`.
        log.info("partitions revoked", partitions=sorted(tp.partition for tp in revoked))

    def _next_offset(self, partition: int) -> int | None:
        feed = self._feeds.get(partition)
        return None if feed is None else feed.next

    async def _end(self, numbers: set[int]) -> None:
        tasks = [self._tasks.pop(number) for number in numbers]
        for number in numbers:
            self._feeds.pop(number).stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _guarded(self, feed: Feed) -> None:
        """Runs the task again when it has to start over; any other error ends the worker."""
        try:
            while True:
                try:
                    await self._run(feed)
                except* (StartOverError, KafkaError) as errors:
                    feed.stop()
                    log.warning("start over", partition=feed.partition, why=_first(errors))
                await asyncio.sleep(_PAUSE_S)
        except Exception as error:
            log.error("partition failed", partition=feed.partition, why=repr(error))
            await self._app.crash(error)

    async def close(self) -> None:
        """Ends all tasks."""
        await self._end(set(self._feeds))


def _first(errors: BaseExceptionGroup[BaseException]) -> str:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
