"""Late events of an erased viewer: judged as any other, and nobody's in the block."""

import asyncio
from typing import Any

import msgspec
import numpy as np
from support.catalogue import CATALOGUE, HOUR, FixedCatalogue
from support.events import encode, record
from support.shared import LocalShared

from models.judge import Judge
from pipeline.score.admit import Clock
from pipeline.score.state import State, empty_state, observe, to_arrays
from pipeline.score.steps import Scored, Tools, score
from schemas.block import decode_block
from schemas.erased import NAMES, PERSONAL, Erased, digest
from schemas.fencing import Progress

JUDGE = Judge("champion")
PSEUDONYM = "erased-" + "0" * 32
GONE = "viewer-0001"
BOT = {"user_agent": "curl/8.0", "ip": "84.128.1.1", "language": "en-GB", "attrs": {"a": GONE}}


def tools(*erased: str) -> Tools:
    known = Erased(b"", {digest(b"", viewer.encode()): PSEUDONYM for viewer in erased})
    catalogue = msgspec.structs.replace(CATALOGUE, erased=known)
    return Tools(
        FixedCatalogue(catalogue),  # type: ignore[arg-type]
        JUDGE,
        LocalShared(),
        Clock(late_ms=24 * HOUR, future_ms=300_000),
        asyncio.Lock(),
    )


def records() -> list[Any]:
    """Two views each of an erased viewer and of another one, and events that are refused."""
    events = [
        (GONE, {}),
        ("viewer-0002", {}),
        (GONE, BOT | {"post_id": "post-2"}),
        ("viewer-0002", BOT | {"post_id": "post-2"}),
        (GONE, {"watch_ms": -1}),
        ("viewer-0002", {"watch_ms": -1}),
        (GONE, {"campaign_id": "nobody-s"}),
    ]
    return [
        record(
            encode(viewer_id=viewer, event_id=f"event-{n:016d}", **changes),
            key=viewer.encode(),
            offset=n,
        )
        for n, (viewer, changes) in enumerate(events)
    ]


def scored(state: State, *erased: str) -> Scored:
    return asyncio.run(score(records(), 0, state, tools(*erased)))


def test_the_block_says_nothing_of_them() -> None:
    block = decode_block(scored(empty_state(27), GONE).value)
    plain = decode_block(scored(empty_state(27)).value)
    assert [row["viewer_id"] for row in plain.accepted.to_pylist()].count(GONE) == 2
    for row, before in zip(block.accepted.to_pylist(), plain.accepted.to_pylist(), strict=True):
        if before["viewer_id"] == GONE:
            assert row == before | dict.fromkeys(PERSONAL) | dict.fromkeys(NAMES, PSEUDONYM)
        else:
            assert row == before
    assert block.refused == plain.refused


def test_their_refused_events_are_not_kept() -> None:
    assert [one.record.offset for one in scored(empty_state(27)).rejected] == [4, 5, 6]
    assert [one.record.offset for one in scored(empty_state(27), GONE).rejected] == [5]


def test_the_state_is_a_function_of_the_log() -> None:
    live, restored = empty_state(27), empty_state(27)
    observe(restored, decode_block(scored(live, GONE).value).accepted)
    one, other = (to_arrays(state, Progress()) for state in (live, restored))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)
