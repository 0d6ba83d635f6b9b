"""What a block is made of: never more than fits into a message, nothing left out."""

import asyncio
import base64
import os
from pathlib import Path
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from support.catalogue import CATALOGUE, HOUR, FixedCatalogue
from support.events import encode, record
from support.shared import LocalShared

from models.judge import Judge
from pipeline.score import partition
from pipeline.score.admit import Clock
from pipeline.score.claim import Claim
from pipeline.score.partition import Gathered, _parts, _Writing
from pipeline.score.state import empty_state, load_snapshot
from pipeline.score.steps import Tools, score
from pipeline.transport import size_of
from schemas.block import decode_block
from schemas.fencing import Position, Progress
from schemas.settings import Settings
from schemas.topics import SCORED, TOPICS

(LIMIT,) = (int(one.config["max.message.bytes"]) for one in TOPICS if one.name == SCORED)
MIB = 1024 * 1024


def large(number: int) -> bytes:
    """A valid event of 32 KB that no codec makes much smaller."""
    attrs = {f"a{i}": base64.b64encode(os.urandom(1_536)).decode() for i in range(16)}
    return encode(attrs=attrs, event_id=f"event-{number:016d}")


def test_a_backlog_of_large_events_fits_into_messages() -> None:
    records = [record(large(i), offset=i) for i in range(900)]
    tools = Tools(
        FixedCatalogue(CATALOGUE),  # type: ignore[arg-type]
        Judge("champion"),
        LocalShared(),
        Clock(late_ms=24 * HOUR, future_ms=300_000),
        asyncio.Lock(),
    )
    state = empty_state(27)
    parts = list(_parts(Gathered(records, 900, size_of(records))))
    values = [asyncio.run(score(part.records, 0, state, tools)).value for part in parts]
    assert sum(map(len, values)) > LIMIT, "else this shows nothing"
    assert max(map(len, values)) < LIMIT - MIB
    offsets = [one for v in values for one in decode_block(v).accepted["raw_offset"].to_pylist()]
    assert offsets == list(range(900))


@given(st.lists(st.tuples(st.integers(1, 3), st.none() | st.integers(0, 30)), min_size=1))
def test_parts_join_up_and_are_small(shape: list[tuple[int, int | None]]) -> None:
    records, offset = [], 0
    for gap, size in shape:
        offset += gap
        records.append(record(None if size is None else b"x" * size, offset=offset))
    before, partition._BLOCK_BYTES = partition._BLOCK_BYTES, 20
    try:
        parts = list(_parts(Gathered(records, offset + 3, size_of(records))))
    finally:
        partition._BLOCK_BYTES = before
    assert [one for part in parts for one in part.records] == records
    assert [part.next for part in parts] == [
        *(part.records[0].offset for part in parts[1:]), offset + 3
    ]  # fmt: skip
    for part in parts:
        assert part.size == size_of(part.records)
        assert part.size <= 20 or len(part.records) == 1


def test_no_records_are_one_part() -> None:
    holes = Gathered([], 7, 0)
    assert list(_parts(holes)) == [holes]


def test_a_snapshot_that_cannot_be_saved_stops_nobody(tmp_path: Path) -> None:
    """As on a full disk."""

    async def confirmed(_next_raw: int) -> None: ...

    (tmp_path / "snapshots").write_text("a file in the place of the folder")
    held = Claim("writer", Progress(Position(1, "writer", 5), 3), empty_state(27))
    scorer = SimpleNamespace(settings=Settings(snapshot_seconds=0.001))
    follower = SimpleNamespace(confirmed=confirmed, progress=held.progress)
    writing = _Writing(scorer, None, None, held, follower, None)  # type: ignore[arg-type]
    writing._save_at, writing._next_raw = 0.0, 7
    asyncio.run(writing.maybe_snapshot(tmp_path / "snapshots" / "0.npz"))
    assert writing._save_at > 0, "it is tried again later, not at once"
    (tmp_path / "snapshots").unlink()
    writing._save_at = 0.0
    asyncio.run(writing.maybe_snapshot(tmp_path / "snapshots" / "0.npz"))
    assert load_snapshot(tmp_path / "snapshots" / "0.npz", 27)[1] == held.progress
