"""Taking a partition over: marker, everything up to it, then the writer goes on.

The protocol is `schemas.fencing`; this is its claiming side (design rule 3).
"""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import structlog

from pipeline.score.log import ScoredLog
from pipeline.score.state import RESTORED_COLUMNS, State, empty_state, load_snapshot, observe
from schemas.block import decode_accepted
from schemas.fencing import Outcome, Position, Progress, Stamp, follow

log = structlog.get_logger()

_OBSERVE_ROWS = 1 << 16


class LostDataError(Exception):
    """The logs do not join up any more; a person has to look."""


class Claim(NamedTuple):
    """A partition that is ours until somebody else's marker comes."""

    writer: str
    progress: Progress
    """Of the moment after our own marker."""
    state: State


async def claim(
    scored: ScoredLog,
    partition: int,
    snapshot: Path,
    window_hours: int,
    show: Callable[[int], None] = lambda offset: None,
) -> Claim:
    """Claims a partition and restores its state.

    Args:
        show: called with the offset up to which the log was read, again and again.

    Raises:
        LostDataError: raw events were deleted before they were judged, or the beginning of
            the scored log is gone and no snapshot covers it.
    """
    started = time.perf_counter()
    state, progress = load_snapshot(snapshot, window_hours)
    begin, end = await scored.begin(), await scored.end()
    if not begin <= progress.next_scored <= end:
        state, progress = empty_state(window_hours), Progress()
        if begin > 0:
            raise LostDataError(
                f"views.scored[{partition}] begins at {begin}: what came before was deleted, and "
                f"no snapshot covers it. Restore {snapshot} or the topic from a backup."
            )
    scored.seek(progress.next_scored)
    from_offset = progress.next_scored
    restored = Restorer(state, progress, show)
    await restored.read(scored, end)
    writer = uuid.uuid4().hex
    while True:
        epoch = restored.progress.position.epoch + 1
        marker = await scored.append(Stamp("marker", writer, epoch))
        await restored.read(scored, marker + 1)
        position = restored.progress.position
        if (position.writer, position.epoch) == (writer, epoch):
            break
        log.info("claim again", partition=partition, epoch=epoch)
    await _check_raw(scored, partition, position)
    log.info(
        "claimed",
        partition=partition,
        epoch=epoch,
        next_raw=position.next_raw,
        restored_messages=marker + 1 - from_offset,
        restored_rows=restored.rows,
        seconds=round(time.perf_counter() - started, 3),
    )
    return Claim(writer, restored.progress, restored.state)


class Restorer:
    """Folds a stretch of the log into a state, in steps large enough to be fast."""

    def __init__(self, state: State, progress: Progress, show: Callable[[int], None]) -> None:
        self.state = state
        self.progress = progress
        self._show = show
        self.rows = 0
        self._pending: list[pa.Table] = []

    async def read(self, scored: ScoredLog, until: int) -> None:
        """Reads up to the offset `until` and takes what counts."""
        position, next_scored = self.progress
        async for batch in scored.read(until):
            for record, stamp in batch:
                position, outcome = follow(position, stamp)
                next_scored = record.offset + 1
                if outcome is Outcome.BLOCK:
                    self.take(record.value)
            self.progress = Progress(position, next_scored)
            self._show(next_scored)
        self.flush()

    def take(self, value: bytes) -> None:
        """Takes the accepted views of one block."""
        table = decode_accepted(value, RESTORED_COLUMNS)
        self._pending.append(table)
        self.rows += len(table)
        if sum(map(len, self._pending)) >= _OBSERVE_ROWS:
            self.flush()

    def flush(self) -> None:
        """Brings the state up to what was taken."""
        if self._pending:
            observe(self.state, pa.concat_tables(self._pending))
            self._pending = []


async def _check_raw(scored: ScoredLog, partition: int, position: Position) -> None:
    begin, end = await scored.raw_range()
    if begin > position.next_raw:
        raise LostDataError(
            f"views.raw[{partition}] begins at {begin}, but was judged only up to "
            f"{position.next_raw}: the offsets {position.next_raw} to {begin - 1} were deleted "
            "unjudged. Restore the topic from a backup; see docs/exactly-once.md."
        )
    if end < position.next_raw:
        raise LostDataError(
            f"views.raw[{partition}] ends at {end}, but was judged up to {position.next_raw}: "
            "it is not the topic that views.scored was made from."
        )
