"""Chunks cover exactly the offsets that were read, holes included."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from faust.types import TP
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.transport import Chunk, Consumer, driver

RAW = TP("views.raw", 2)


def batch(base: int, offsets: list[int], last: int) -> bytes:
    """A batch of records as the broker sends it, of [base, last]; the other offsets are holes."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=1 << 20,
    )  # fmt: skip
    for offset in offsets:
        headers = [("n", str(offset).encode())]
        builder.append(offset - base, 1_000 + offset, b"key", f"{offset}".encode(), headers)
    sent = bytearray(builder.build())
    sent[0:8] = base.to_bytes(8, "big")
    sent[23:27] = (last - base).to_bytes(4, "big")
    return bytes(sent)


class Fetched:
    """What one fetch of a partition brought, in the hands of the patched aiokafka."""

    def __init__(self, data: bytes, position: int) -> None:
        self.state = SimpleNamespace(paused=False, position=position, consumed_to=self._consumed)
        assignment = SimpleNamespace(active=True, state_value=lambda _tp: self.state)
        records = fetcher.PartitionRecords(
            RAW, MemoryRecords(data), [], position, None, None, False, 0
        )
        self.result = fetcher.FetchResult(
            RAW, assignment=assignment, partition_records=records, backoff=0
        )

    def _consumed(self, position: int) -> None:
        self.state.position = position

    def chunk(self, most: int | None = None, highwater: int | None = None) -> Chunk | None:
        """The next chunk of it; None at its end."""
        run = self.result.getall(most)
        if not run:
            return None
        consumer = SimpleNamespace(highwater=lambda _tp: highwater)
        folded = Consumer._fold(consumer, RAW, run)
        assert (folded.topic, folded.partition) == RAW
        assert folded.offset == folded.value.next - 1
        return folded.value  # type: ignore[no-any-return]


def offsets(chunk: Chunk) -> list[int]:
    return [record.offset for record in chunk.records]


def test_a_record_is_handed_out_whole() -> None:
    chunk = Fetched(batch(40, [40, 41], 41), 40).chunk()
    assert chunk is not None
    assert chunk[:4] == (2, 40, 42, 42)
    assert chunk.size == 4
    first = chunk.records[0]
    assert (first.offset, first.timestamp, first.key, first.value) == (40, 1_040, b"key", b"40")
    assert list(first.headers) == [("n", b"40")]


def test_what_lies_before_the_position_is_left_out() -> None:
    chunk = Fetched(batch(40, [40, 41, 42], 42), 41).chunk()
    assert chunk is not None
    assert (chunk.start, chunk.next, offsets(chunk)) == (41, 43, [41, 42])


def test_a_hole_at_the_end_is_covered() -> None:
    chunk = Fetched(batch(40, [40], 45), 40).chunk()
    assert chunk is not None
    assert (chunk.start, chunk.next, offsets(chunk)) == (40, 46, [40])


@pytest.mark.parametrize(("highwater", "end"), [(None, 42), (0, 42), (41, 42), (90, 90)])
def test_the_end_of_the_partition_is_never_before_that_of_the_chunk(
    highwater: int | None, end: int
) -> None:
    chunk = Fetched(batch(40, [40, 41], 41), 40).chunk(highwater=highwater)
    assert chunk is not None
    assert chunk.end == end


def test_a_fetch_from_before_a_seek_brings_nothing() -> None:
    fetched = Fetched(batch(40, [40, 41], 41), 40)
    fetched.state.position = 7
    assert fetched.chunk() is None


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=1, max_size=4),
    st.integers(1, 5),
)
@settings(max_examples=100, deadline=None)
def test_chunks_join_up_and_lose_nothing(batches: list[list[bool]], most: int) -> None:
    base, data, kept = 100, b"", []
    for present in batches:
        found = [base + i for i, there in enumerate(present) if there]
        data += batch(base, found, base + len(present) - 1)
        kept += found
        base += len(present)
    fetched, chunks = Fetched(data, 100), []
    while (chunk := fetched.chunk(most)) is not None:
        chunks.append(chunk)
    assert [offset for chunk in chunks for offset in offsets(chunk)] == kept
    bounds = [100, *(chunk.next for chunk in chunks)]
    assert [chunk.start for chunk in chunks] == bounds[:-1]
    assert bounds[-1] == base
    assert fetched.state.position == base
    for chunk in chunks:
        assert len(chunk.records) <= most
        assert all(chunk.start <= offset < chunk.next for offset in offsets(chunk))


def test_a_held_partition_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[set[TP], float]] = []

    async def getmany(_self: Any, wanted: set[TP], timeout: float) -> dict[TP, Any]:
        asked.append((wanted, timeout))
        return {}

    monkeypatch.setattr(driver.Consumer, "_getmany", getmany)
    consumer = object.__new__(Consumer)
    hot, other, unclaimed = (TP("views.raw", n) for n in range(3))
    consumer._fetchable, consumer._held = {hot, other}, set()

    async def ask() -> None:
        await consumer._getmany({hot, other, unclaimed}, 5.0)

    asyncio.run(ask())
    consumer.hold(hot, True)
    asyncio.run(ask())
    consumer.hold(hot, False)
    asyncio.run(ask())
    # Who waits long for the others would not see that the held one may go on.
    both, held, again = asked
    assert both == again == ({hot, other}, 5.0)
    assert held[0] == {other}
    assert held[1] < 1


@given(st.sets(st.integers(10, 29)), st.integers(10, 30))
def test_since_cuts_the_beginning_off(present: set[int], start: int) -> None:
    records: list[Any] = [SimpleNamespace(offset=i, value=b"ab") for i in sorted(present)]
    cut = Chunk(0, 10, 30, 99, records).since(start)
    assert (cut.start, cut.next, cut.end) == (start, 30, 99)
    assert cut.size == 2 * len(cut.records)
    assert offsets(cut) == [offset for offset in sorted(present) if offset >= start]
