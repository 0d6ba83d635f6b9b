"""One partition of score: claim it, then turn what comes into blocks until fenced."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import structlog
from aiokafka.errors import KafkaError

from pipeline.erase.gate import pass_gate
from pipeline.feeds import Feed, StartOverError
from pipeline.score.admit import first_attempt
from pipeline.score.claim import Claim, claim
from pipeline.score.follow import Follower
from pipeline.score.log import ScoredLog
from pipeline.score.refuse import Refused
from pipeline.score.state import save_snapshot, to_arrays
from pipeline.score.steps import Scored, Tools, score
from schemas.fencing import Stamp
from schemas.kafka_url import KafkaUrl
from schemas.metrics import CLAIMS
from schemas.settings import Settings

log = structlog.get_logger()

_BLOCKS_IN_FLIGHT = 4
_BLOCK_BYTES = 8 * 1024 * 1024
"""Of events in one block: a row is at most its event and a few hundred bytes, a message 16 MiB."""


class Scorer(NamedTuple):
    """What the partitions of a worker share."""

    settings: Settings
    kafka: KafkaUrl
    tools: Tools


def window_hours(settings: Settings) -> int:
    """How long an event id is remembered: whole hours, and one more for the one that runs."""
    minutes = (
        settings.accept_window_hours * 60 + settings.future_minutes + settings.window_slack_minutes
    )
    return -(-minutes // 60) + 1


async def score_partition(scorer: Scorer, feed: Feed) -> None:
    """Owns one partition until it is taken away.

    Raises:
        StartOverError: somebody else claimed it, or an append was lost; in a group. Or the log is
            being written anew.
        LostDataError: the logs do not join up.
    """
    settings = scorer.settings
    await pass_gate(settings.url("postgres"))
    snapshot = settings.data / "snapshots" / f"{feed.partition}.npz"
    async with ScoredLog(scorer.kafka, feed.partition) as scored:
        hours = window_hours(settings)
        held = await claim(scored, feed.partition, snapshot, hours, feed.restoring)
        CLAIMS.labels(str(feed.partition)).inc()
        await feed.start(held.progress.position.next_raw)
        follower = Follower(scored, held.writer, held.progress, feed)
        async with asyncio.TaskGroup() as beside:
            beside.create_task(follower.run())
            writing = _Writing(scorer, feed, scored, held, follower, beside)
            while True:
                for part in _parts(await _gather(feed, settings)):
                    await writing.block(part)
                await writing.maybe_snapshot(snapshot)


class _Writing:
    """The appending side of a claim."""

    def __init__(
        self,
        scorer: Scorer,
        feed: Feed,
        scored: ScoredLog,
        held: Claim,
        follower: Follower,
        beside: asyncio.TaskGroup,
    ) -> None:
        self._scorer = scorer
        self._feed = feed
        self._scored = scored
        self._held = held
        self._follower = follower
        self._next_raw = held.progress.position.next_raw
        self._beside = beside
        self._in_flight = asyncio.Semaphore(_BLOCKS_IN_FLIGHT)
        self._last: asyncio.Task[None] | None = None
        self._save_at = time.monotonic() + scorer.settings.snapshot_seconds
        self._saved_raw = self._next_raw

    async def block(self, gathered: "Gathered") -> None:
        """Scores one range; it is appended while the next one is gathered."""
        made = await score(
            gathered.records, self._feed.partition, self._held.state, self._scorer.tools
        )
        epoch = self._held.progress.position.epoch
        holes = gathered.next - self._next_raw - len(gathered.records)
        stamp = Stamp("block", self._held.writer, epoch, self._next_raw, gathered.next, holes)
        await self._in_flight.acquire()
        self._last = self._beside.create_task(self._append(stamp, made, after=self._last))
        self._next_raw = gathered.next

    async def _append(self, stamp: Stamp, made: Scored, after: asyncio.Task[None] | None) -> None:
        try:
            # What is refused must be safe before the block says that it is done.
            await asyncio.gather(*[await self._reject(one) for one in made.rejected])
            if after is not None:
                await after  # and raises what it raised: nothing follows a lost block
            await self._scored.append(stamp, made.value)
        except KafkaError as error:
            raise StartOverError(f"a block was not appended: {error!r}") from error
        self._in_flight.release()

    async def _reject(self, one: Refused) -> Any:
        record = one.record
        headers = [
            ("refusal", one.refusal.label.encode()),
            ("detail", one.detail.encode()),
            ("raw_partition", str(self._feed.partition).encode()),
            ("raw_offset", str(record.offset).encode()),
            ("log_time", str(first_attempt(record)).encode()),
        ]
        return await self._scored.reject(record.value, record.key, headers)

    async def maybe_snapshot(self, path: Any) -> None:
        """Saves the state now and then, when the log has confirmed all of it."""
        started = time.monotonic()
        if started < self._save_at or self._next_raw == self._saved_raw:
            return
        await self._follower.confirmed(self._next_raw)
        arrays = to_arrays(self._held.state, self._follower.progress)
        try:
            await asyncio.to_thread(save_snapshot, path, arrays)
            self._saved_raw = self._next_raw
        except OSError as error:
            # A full disk is no reason not to judge: the log has it all, the next start is longer.
            log.error("snapshot not saved", path=path.name, why=str(error))
        now = time.monotonic()
        # A large state takes long to save: never more than a twentieth of the time.
        pause = max(self._scorer.settings.snapshot_seconds, 20 * (now - started))
        self._save_at = now + pause


class Gathered(NamedTuple):
    """The records of the next block, and where it ends."""

    records: list[Any]
    next: int
    size: int
    """Bytes of the values."""


def _parts(gathered: Gathered) -> Iterator[Gathered]:
    """Cuts what would not fit into one message; hardly ever anything."""
    records, size = gathered.records, gathered.size
    while size > _BLOCK_BYTES and len(records) > 1:
        sizes = np.cumsum([len(record.value or b"") for record in records])
        cut = max(1, int(np.searchsorted(sizes, _BLOCK_BYTES, side="right")))
        yield Gathered(records[:cut], records[cut].offset, int(sizes[cut - 1]))
        records, size = records[cut:], size - int(sizes[cut - 1])
    yield Gathered(records, gathered.next, size)


async def _gather(feed: Feed, settings: Settings) -> Gathered:
    """Enough for a block, or what came within the linger time; half of it passed in the broker.

    Half of `block_rows` is enough, so that with the last chunk it stays below one and a half.
    """
    chunk = await feed.take()
    records, next_offset, size = chunk.records, chunk.next, chunk.size
    deadline = chunk.fetched_at + settings.linger_ms / 2000
    while len(records) < settings.block_rows / 2 and size < _BLOCK_BYTES / 2:
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                chunk = await feed.take()
        except TimeoutError:
            break
        records, next_offset = records + chunk.records, chunk.next
        size += chunk.size
    return Gathered(records, next_offset, size)
