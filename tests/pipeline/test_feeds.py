"""A feed hands out every offset once and in order, whatever the consumer does."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipeline import feeds
from pipeline.feeds import Feed
from pipeline.transport import Chunk, size_of

END = 60


class Log:
    """A consumer whose seeks take effect late, and which repeats and loses what it fetched."""

    def __init__(self) -> None:
        self.cursor = 0
        self.held = False

    async def start_at(self, _tp: TP, offset: int) -> None:
        self.cursor = offset

    def stop_fetching(self, _tp: TP) -> None: ...

    def hold(self, _tp: TP, held: bool) -> None:
        self.held = held

    def fetch(self, size: int) -> Chunk:
        start, stop = self.cursor, min(self.cursor + size, END)
        self.cursor = stop
        return chunk(start, stop)


def chunk(start: int, stop: int) -> Chunk:
    """Records at the even offsets only: a log may have holes."""
    records: list[Any] = [
        SimpleNamespace(offset=i, value=b"event") for i in range(start, stop) if i % 2 == 0
    ]
    return Chunk(0, start, stop, END, records, size=size_of(records))


fetches = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from(["deliver", "lose", "again", "rewind"])),
    max_size=30,
)


@given(st.integers(0, 20), fetches)
@settings(max_examples=200, deadline=None, phases=set(Phase) - {Phase.shrink})
def test_offsets_join_up(start: int, fetches: list[tuple[int, str]]) -> None:
    async def run() -> list[int]:
        log = Log()
        feed = Feed(log, TP("views.raw", 0))  # type: ignore[arg-type]
        await feed.start(start)
        taken: list[int] = []

        async def take() -> None:
            while feed.next is not None and feed.next < END:
                before = feed.next
                got = await feed.take()
                assert got.start == before
                assert feed.next == got.next
                taken.extend(record.offset for record in got.records)

        task = asyncio.create_task(take())
        for size, what in [*fetches, *[(END, "deliver")] * END]:
            if what == "rewind":
                log.cursor = max(0, log.cursor - size)
            if log.cursor == END and feed.next is not None:
                log.cursor = feed.next  # what `seek_to_committed` does after a rebalance
            fetched = log.fetch(size)
            for _ in range({"lose": 0, "again": 2}.get(what, 1)):
                if not task.done() and fetched.next > fetched.start:
                    feed.put(fetched)
            await asyncio.sleep(0)
        await asyncio.wait_for(task, 5)
        return taken

    assert asyncio.run(run()) == [i for i in range(start, END) if i % 2 == 0]


@pytest.mark.parametrize(("name", "enough"), [("_ENOUGH_RECORDS", 2), ("_ENOUGH_BYTES", 10)])
def test_a_full_feed_is_not_fetched_until_there_is_room(
    name: str, enough: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, name, enough)

    async def run() -> None:
        log = Log()
        feed = Feed(log, TP("views.raw", 0))  # type: ignore[arg-type]
        feed.put(chunk(0, 4))  # not started: dropped
        await feed.start(0)
        feed.put(chunk(0, 2))
        assert not log.held
        feed.put(chunk(2, 4))
        assert log.held
        feed.put(chunk(4, 6))  # was on its way: kept all the same
        assert (await feed.take()).next == 2
        assert log.held
        assert (await feed.take()).next == 4
        assert not log.held

    asyncio.run(run())


@pytest.mark.parametrize("name", ["_ENOUGH_RECORDS", "_ENOUGH_BYTES"])
def test_a_stopped_feed_forgets_and_is_not_held(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, name, 1)

    async def run() -> None:
        log = Log()
        feed = Feed(log, TP("views.raw", 0))  # type: ignore[arg-type]
        await feed.start(0)
        for i in range(4):
            feed.put(chunk(2 * i, 2 * i + 1))
        assert log.held
        feed.stop()
        assert not log.held
        feed.put(chunk(4, 8))
        assert feed.next is None
        assert not log.held

    asyncio.run(run())


def test_restoring_is_progress_until_it_starts() -> None:
    async def run() -> None:
        feed = Feed(Log(), TP("views.raw", 0))  # type: ignore[arg-type]
        feed.restoring(500)
        feed.restoring(200)  # again from the beginning, after an error
        assert feed.restored == 500
        await feed.start(7)
        feed.restoring(900)  # who claims again and again is no further
        assert feed.restored == 500

    asyncio.run(run())
