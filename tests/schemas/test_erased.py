"""Erased viewers: nothing of them stays, everything that counts does, nobody else is touched."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.blocks import VERSIONS, block_value
from support.events import encode

from schemas.block import ACCEPTED, decode_block
from schemas.erased import (
    IMPERSONAL,
    NAMES,
    PERSONAL,
    Erased,
    digest,
    only_unlinked,
    unlink_block,
)

SECRET = b"k" * 32
PSEUDONYM = "erased-" + "0" * 32
BLOCKS = [block_value(n * 60, 60, refused=[3], duplicates=[5]) for n in range(3)]


def erased(*viewers: str) -> Erased:
    return Erased(SECRET, {digest(SECRET, v.encode()): f"{PSEUDONYM}-{v[-1]}" for v in viewers})


def viewers_of(value: bytes) -> list[str]:
    return sorted(set(decode_block(value).accepted["viewer_id"].to_pylist()))


def test_every_column_is_a_name_or_personal_or_stays() -> None:
    assert sorted([*NAMES, *PERSONAL, *IMPERSONAL]) == sorted(ACCEPTED.names)


@given(st.integers(0, 2), st.sets(st.integers(0, 57), max_size=20))
@settings(deadline=None)
def test_the_erased_are_gone_and_all_else_is_there(block: int, numbers: set[int]) -> None:
    value = BLOCKS[block]
    chosen = [v for i, v in enumerate(viewers_of(value)) if i in numbers]
    gone = erased(*chosen)
    after = unlink_block(value, gone)
    assert unlink_block(after, gone) == after, "once more changes nothing"
    old, new = decode_block(value), decode_block(after)
    assert only_unlinked(value, after, gone) == sum(
        viewer in chosen for viewer in old.accepted["viewer_id"].to_pylist()
    )
    assert new.versions == VERSIONS
    assert new.refused == old.refused
    for before, now in zip(old.accepted.to_pylist(), new.accepted.to_pylist(), strict=True):
        expected: dict[str, Any] = dict(before)
        if before["viewer_id"] in chosen:
            pseudonym = gone.pseudonym_of(before["viewer_id"].encode())
            expected |= dict.fromkeys(PERSONAL) | dict.fromkeys(NAMES, pseudonym)
        assert now == expected
    assert set(viewers_of(after)).isdisjoint(chosen)


def test_a_block_without_them_is_the_same_bytes() -> None:
    assert unlink_block(BLOCKS[0], erased("viewer-of-nobody")) is BLOCKS[0]
    assert unlink_block(BLOCKS[0], Erased()) is BLOCKS[0]


def test_a_block_of_before_keeps_its_columns() -> None:
    old = decode_block(BLOCKS[0])
    fewer = old.accepted.drop_columns(["network", "consent"])
    sink = pa.BufferOutputStream()
    for table in (fewer, old.refused):
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    value = bytes(sink.getvalue())
    gone = erased(fewer["viewer_id"][0].as_py())
    after = unlink_block(value, gone)
    assert only_unlinked(value, after, gone) >= 1
    assert pa.ipc.open_stream(after).schema == fewer.schema


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (BLOCKS[0], "still named"),
        (BLOCKS[1], "refused rows"),
        (block_value(0, 59, refused=[3], duplicates=[5]), "number of rows"),
        (block_value(0, 60, refused=[3], duplicates=[5], gap_ms=11), "refused rows"),
    ],
)
def test_another_block_does_not_pass_for_the_unlinked_one(other: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        only_unlinked(BLOCKS[0], other, erased(viewers_of(BLOCKS[0])[0]))


@pytest.mark.parametrize("column", ["ip", "screen", "rate_micros", "viewer_id", "verdict"])
def test_a_block_that_was_changed_elsewhere_does_not_pass(column: str) -> None:
    gone = erased(viewers_of(BLOCKS[0])[0])
    after = decode_block(unlink_block(BLOCKS[0], gone))
    at = ACCEPTED.get_field_index(column)
    rows = after.accepted
    changed = rows.set_column(at, ACCEPTED.field(at), rows[column].take(list(range(57, -1, -1))))
    sink = pa.BufferOutputStream()
    for table in (changed, after.refused):
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    with pytest.raises(ValueError, match=r"changed|named|still there"):
        only_unlinked(BLOCKS[0], bytes(sink.getvalue()), gone)


@pytest.mark.parametrize(
    ("key", "value", "known"),
    [
        (b"viewer-0001", None, True),
        (b"viewer-0001", b"{nonsense", True),
        (None, encode(), True),
        (b"somebody-else", encode(), True),
        (b"somebody-else", encode(viewer_id="viewer-0002"), False),
        (None, b"\xff", False),
        (None, b"[" * 9_000, False),
        (None, encode(viewer_id=7), False),
    ],
)
def test_an_event_as_sent_is_known(key: bytes | None, value: bytes | None, known: bool) -> None:
    assert erased("viewer-0001").mentioned(key, value) is known
    assert not Erased().mentioned(key, value)
