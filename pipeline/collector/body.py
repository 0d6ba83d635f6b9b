"""A request's body: read in time, within bounds, unpacked, and taken apart into events."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import cramjam
import msgspec

from pipeline.collector.problems import ProblemError

MAX_BYTES = 1024 * 1024
"""Of a body, as it was sent and after decompression."""
MAX_EVENTS = 500

_UNPACK = {"gzip": cramjam.gzip, "x-gzip": cramjam.gzip, "br": cramjam.brotli, "zstd": cramjam.zstd}
_JSON = ("application/json", "text/plain")
_LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
_many = msgspec.json.Decoder(list[msgspec.Raw]).decode
_TOO_LARGE = f"more than {MAX_BYTES:,} bytes: send fewer events at once"


async def read_body(
    receive: Callable[[], Awaitable[Any]], timeout_s: float, came: Callable[[int], None]
) -> bytes:
    """The body of an ASGI request.

    Args:
        came: called with the size of each part before it is kept; what it raises ends the reading.

    Raises:
        ProblemError: 413 too large, 408 too slow, 400 where the client went away.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ProblemError(400, "incomplete_body", "the connection ended in the body")
                part = message.get("body", b"")
                size += len(part)
                if size > MAX_BYTES:
                    raise ProblemError(413, "body_too_large", _TOO_LARGE)
                came(len(part))
                parts.append(part)
                if not message.get("more_body", False):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError:
        raise ProblemError(
            408, "body_too_slow", f"the body did not come in within {timeout_s:g} seconds"
        ) from None


def unpack(body: bytes, encoding: str) -> bytes:
    """The body without its Content-Encoding.

    Raises:
        ProblemError: 415 unknown encoding, 413 too large, 400 damaged.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    codec = _UNPACK.get(name)
    if codec is None:
        raise ProblemError(
            415, "unknown_encoding", "Content-Encoding must be one of gzip, br, zstd, identity"
        )
    # What does not fit in the buffer is refused before it is unpacked: no bombs.
    plain = bytearray(MAX_BYTES + 1)
    try:
        size = codec.decompress_into(body, plain)
    except cramjam.DecompressionError as error:
        if "whole buffer" in str(error):
            raise ProblemError(413, "body_too_large", _TOO_LARGE) from None
        raise ProblemError(400, "damaged_body", f"the body is not {name}, or is cut") from None
    if size > MAX_BYTES:
        raise ProblemError(413, "body_too_large", _TOO_LARGE)
    return bytes(memoryview(plain)[:size])


def is_lines(content_type: str) -> bool:
    """Whether the body is NDJSON; else it is JSON.

    Raises:
        ProblemError: 415, it is neither.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in _LINES:
        return True
    if media_type in _JSON:
        return False
    raise ProblemError(
        415,
        "unknown_content_type",
        "Content-Type must be application/json, application/x-ndjson or text/plain",
    )


def split(body: bytes, lines: bool) -> list[bytes]:
    """The events of a body, each by itself and not looked at yet.

    Raises:
        ProblemError: 400, not JSON as a whole.
    """
    if lines:
        return [line for line in body.splitlines() if line.strip()]
    text = body.strip()
    if not text.startswith(b"["):
        return [text] if text else []
    try:
        return [bytes(event) for event in _many(text)]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ProblemError(
            400, "not_json", "the body is not a JSON array; no event of it was accepted"
        ) from None


def check_count(events: int) -> None:
    """Refuses an empty body, and one with too many events.

    Raises:
        ProblemError: 400 or 413.
    """
    if events == 0:
        raise ProblemError(400, "no_events", "the body holds no event")
    if events > MAX_EVENTS:
        raise ProblemError(
            413, "too_many_events", f"{events} events, at most {MAX_EVENTS} are taken at once"
        )
