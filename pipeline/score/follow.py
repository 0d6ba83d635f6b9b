"""The writer reads its own partition: it learns that it was fenced, and what is confirmed."""

import asyncio

from pipeline.feeds import Feed, StartOverError
from pipeline.score.log import ScoredLog
from schemas.fencing import Outcome, Progress, follow
from schemas.metrics import BLOCKS


class Follower:
    """Folds the tail of the log behind a writer."""

    def __init__(self, scored: ScoredLog, writer: str, progress: Progress, feed: Feed) -> None:
        self._scored = scored
        self._feed = feed
        self._writer = writer
        self.progress = progress
        """What the log holds of ours, as every reader sees it."""
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Follows for ever.

        Raises:
            StartOverError: another writer took over, or a block of ours was ignored.
        """
        self._scored.seek(self.progress.next_scored)
        async for batch in self._scored.read():
            for record, stamp in batch:
                position, outcome = follow(self.progress.position, stamp)
                self.progress = Progress(position, record.offset + 1)
                BLOCKS.labels(outcome.value).inc()
                if outcome is Outcome.MARKER:
                    raise StartOverError(f"epoch {position.epoch} took the partition over")
                if stamp.writer == self._writer and not outcome.taken:
                    raise StartOverError(
                        f"the block at {stamp.raw_from} was ignored as {outcome.value}"
                    )
                if outcome is Outcome.BLOCK:
                    self._feed.finish(position.next_raw, record.timestamp)
            self._moved.set()

    async def confirmed(self, next_raw: int) -> None:
        """Waits until the log holds everything of ours up to `next_raw`."""
        while self.progress.position.next_raw < next_raw:
            self._moved.clear()
            await self._moved.wait()
