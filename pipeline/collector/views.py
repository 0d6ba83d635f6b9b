"""`POST /v1/views`: read, authenticate, decode, admit, acknowledge, answer."""

import time
from urllib.parse import parse_qsl

import msgspec
from litestar import asgi
from litestar.exceptions import MethodNotAllowedException
from litestar.types import HTTPScope, Receive, Send

from pipeline.collector.accept import (
    Sender,
    check_campaigns,
    enrich,
    honour_wishes,
    to_messages,
)
from pipeline.collector.authenticate import authenticate
from pipeline.collector.body import MAX_BYTES, is_lines, read_body, unpack
from pipeline.collector.capacity import REQUEST_BYTES
from pipeline.collector.client import client_address
from pipeline.collector.door import Door
from pipeline.collector.headers import client_hints, headers_by_name, trace_of, wants_no_tracking
from pipeline.collector.incoming import Batch, count_ahead, decode
from pipeline.collector.keyring import Key
from pipeline.collector.problems import ProblemError
from pipeline.collector.produce import headers_of
from schemas.metrics import ACK_SECONDS, COLLECTED, TURNED_AWAY

_MAX_AGENT = 2048
_JSON = (b"content-type", b"application/json")


# Without the layers that Litestar puts around its other handlers: they take as long as all below.
@asgi("/v1/views", copy_scope=False)
async def post_views(scope: HTTPScope, receive: Receive, send: Send) -> None:
    """Takes events; the answer says of each whether it was accepted."""
    if scope["method"] != "POST":
        raise MethodNotAllowedException(headers={"Allow": "POST"})
    arrived = time.perf_counter()
    door: Door = scope["litestar_app"].state.door
    headers = headers_by_name(scope["headers"])
    lines = is_lines(headers.get("content-type", "application/json"))
    with door.capacity.hold(REQUEST_BYTES, to_come=_announced(headers)) as grow:
        packed = await read_body(receive, door.settings.collector_timeout_s, grow)
        now_ms = time.time_ns() // 1_000_000
        key = authenticate(door.keyring, headers, _key_of(scope["query_string"]), packed, now_ms)
        body = unpack(packed, headers.get("content-encoding", ""))
        with door.capacity.hold(REQUEST_BYTES + len(body), key.key_id):
            # What Kafka cannot take counts against no quota and no viewer: it comes again.
            door.kafka.check()
            address = None if key.kind == "secret" else _address(door, scope["client"], headers)
            # Asked ahead, what is beyond a quota costs nothing more; and from the decoding on all
            # is done at once, while the events are in the processor's caches.
            ahead = count_ahead(body)
            await _spend(door, key, address, ahead)
            batch = decode(body, lines)
            if (more := len(batch.events) + len(batch.rejected) - ahead) > 0:
                await _spend(door, key, address, more)
            _admit(door, batch, key, address, headers, now_ms)
            messages = to_messages(batch)
            for rejected in batch.rejected:
                TURNED_AWAY.labels(rejected.reason).inc()
            if not messages:
                raise _nothing_accepted(batch)
            trace = trace_of(headers)
            sent = door.kafka.send(messages, headers_of(scope["state"]["request_id"], *trace))
            accepted, refused = len(messages), batch.rejected
            del packed, body, batch, messages  # nor are they kept while Kafka is waited for
            await sent
    COLLECTED.inc(accepted)
    ACK_SECONDS.observe(time.perf_counter() - arrived)
    answer = msgspec.json.encode({"accepted": accepted, "rejected": refused})
    answer_headers = [_JSON, (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 202, "headers": answer_headers})
    await send({"type": "http.response.body", "body": answer, "more_body": False})


def _key_of(query: bytes) -> str | None:
    """The first `key` of a query string."""
    return next(
        (value for name, value in parse_qsl(query.decode("latin-1")) if name == "key"), None
    )


def _announced(headers: dict[str, str]) -> int:
    """The size of the body as the client says, or the most that it can be.

    Raises:
        ProblemError: 413, it is said to be too large.
    """
    text = headers.get("content-length", "")
    if not text.isdigit():
        return MAX_BYTES
    if int(text) > MAX_BYTES:
        detail = f"{int(text):,} bytes, at most {MAX_BYTES:,}: send fewer events at once"
        raise ProblemError(413, "body_too_large", detail)
    return int(text)


def _address(door: Door, peer: tuple[str, int] | None, headers: dict[str, str]) -> str | None:
    return client_address(
        peer[0] if peer else "", headers, door.trusted, door.settings.proxy_header
    )


async def _spend(door: Door, key: Key, address: str | None, events: int) -> None:
    if (wait_s := await door.quota.spend(key, address, events)) is not None:
        detail = f"{events} events are more than the quota of the key or the address allows now"
        raise ProblemError(429, "quota", detail, retry_after_s=wait_s)


def _admit(
    door: Door,
    batch: Batch,
    key: Key,
    address: str | None,
    headers: dict[str, str],
    now_ms: int,
) -> None:
    is_server = key.kind == "secret"
    check_campaigns(batch, key)
    if not is_server:
        flags = door.flood.beyond(batch.events)
        batch.turn_away(flags, "viewer_flood", "more events of this viewer than one can make")
    sender = Sender(
        origin=door.privacy.origin_of(address, now_ms),
        user_agent=headers.get("user-agent", "")[:_MAX_AGENT] or None,
        client_hints=client_hints(headers),
        do_not_track=wants_no_tracking(headers) and not is_server,
        is_server=is_server,
    )
    enrich(batch.events, sender, door.privacy, door.name, now_ms)
    honour_wishes(batch, sender, door.settings)


def _nothing_accepted(batch: Batch) -> ProblemError:
    detail = "no event of the body was accepted; `rejected` says why"
    more = {"accepted": 0, "rejected": batch.rejected}
    return ProblemError(400, "all_rejected", detail, more=more)
