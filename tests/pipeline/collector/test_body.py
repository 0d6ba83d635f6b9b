"""Bodies: whole or refused, never half; no bomb is unpacked."""

import asyncio
import gzip
import json
from typing import Any

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collector.body import (
    MAX_BYTES,
    MAX_EVENTS,
    check_count,
    is_lines,
    read_body,
    split,
    unpack,
)
from pipeline.collector.problems import ProblemError

PACK = {
    "gzip": lambda data: bytes(cramjam.gzip.compress(data)),
    "br": lambda data: bytes(cramjam.brotli.compress(data, level=9)),
    "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
    "identity": lambda data: data,
}


def read(*messages: dict[str, Any], timeout_s: float = 5.0) -> bytes:
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.sleep(60)
        return waiting.pop(0)

    came: list[int] = []
    body = asyncio.run(read_body(receive, timeout_s, came.append))
    assert sum(came) == len(body)
    return body


def part(body: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def refusal(error: pytest.ExceptionInfo[ProblemError]) -> tuple[int, str]:
    return error.value.status, error.value.reason


def test_a_body_is_read_in_parts() -> None:
    assert read(part(b"ab", True), part(b"", True), part(b"c", False)) == b"abc"


def test_a_body_that_grows_too_large_is_refused_before_its_end() -> None:
    with pytest.raises(ProblemError) as error:
        read(part(bytes(MAX_BYTES), True), part(b"x", True))
    assert refusal(error) == (413, "body_too_large")


def test_a_body_that_does_not_come_in_is_given_up() -> None:
    with pytest.raises(ProblemError) as error:
        read(part(b"ab", True), timeout_s=0.05)
    assert refusal(error) == (408, "body_too_slow")


def test_a_client_that_leaves_in_the_middle_has_sent_nothing() -> None:
    with pytest.raises(ProblemError) as error:
        read(part(b"ab", True), {"type": "http.disconnect"})
    assert refusal(error) == (400, "incomplete_body")


@pytest.mark.parametrize("encoding", PACK)
@given(data=st.binary(max_size=5000))
def test_what_was_packed_is_unpacked(encoding: str, data: bytes) -> None:
    assert unpack(PACK[encoding](data), encoding) == data


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_the_largest_body_fits_and_one_byte_more_does_not(encoding: str) -> None:
    assert len(unpack(PACK[encoding](bytes(MAX_BYTES)), encoding)) == MAX_BYTES
    for size in (MAX_BYTES + 1, MAX_BYTES + 2, 50 * MAX_BYTES):
        with pytest.raises(ProblemError) as error:
            unpack(PACK[encoding](bytes(size)), encoding)
        assert refusal(error) == (413, "body_too_large")


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
@given(data=st.binary(max_size=200))
def test_garbage_is_refused_with_a_problem(encoding: str, data: bytes) -> None:
    try:
        unpack(data, encoding)
    except ProblemError as problem:
        assert problem.status in (400, 413)


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_a_cut_body_is_not_taken_for_a_whole_one(encoding: str) -> None:
    packed = PACK[encoding](json.dumps([{"n": n} for n in range(1000)]).encode())
    for size in range(0, len(packed), 7):
        with pytest.raises(ProblemError) as error:
            unpack(packed[:size], encoding)
        assert refusal(error) == (400, "damaged_body")


def test_gzip_of_another_maker() -> None:
    assert unpack(gzip.compress(b"[]"), " GZIP ") == b"[]"


def test_an_unknown_encoding_names_the_known_ones() -> None:
    with pytest.raises(ProblemError, match="gzip, br, zstd") as error:
        unpack(b"", "deflate")
    assert refusal(error) == (415, "unknown_encoding")


@pytest.mark.parametrize(
    ("content_type", "lines"),
    [
        ("application/json", False),
        ("Application/JSON; charset=utf-8", False),
        ("text/plain;charset=UTF-8", False),
        ("application/x-ndjson", True),
    ],
)
def test_content_types(content_type: str, lines: bool) -> None:
    assert is_lines(content_type) is lines


@pytest.mark.parametrize("content_type", ["", "text/html", "multipart/form-data; boundary=x"])
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(ProblemError) as error:
        is_lines(content_type)
    assert refusal(error) == (415, "unknown_content_type")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.lists(JSON, min_size=1, max_size=10))
def test_an_array_is_split_into_its_events(events: list[object]) -> None:
    found = split(json.dumps(events).encode(), lines=False)
    assert [json.loads(event) for event in found] == events


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=3), min_size=1, max_size=10))
def test_lines_are_split_into_their_events(events: list[object]) -> None:
    body = "\r\n\n".join(json.dumps(event) for event in events).encode()
    assert [json.loads(event) for event in split(body, lines=True)] == events


def test_one_object_is_one_event() -> None:
    assert split(b' {"a": 1}\n', lines=False) == [b'{"a": 1}']
    assert split(b"  ", lines=False) == []


@pytest.mark.parametrize("body", [b"[1, 2", b"[1 2]", b"[" * 100_000, b"[1] trailing"])
def test_an_array_that_is_none_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(ProblemError) as error:
        split(body, lines=False)
    assert refusal(error) == (400, "not_json")


@pytest.mark.parametrize(("count", "status"), [(0, 400), (MAX_EVENTS + 1, 413)])
def test_too_few_and_too_many(count: int, status: int) -> None:
    check_count(1)
    check_count(MAX_EVENTS)
    with pytest.raises(ProblemError) as error:
        check_count(count)
    assert error.value.status == status
