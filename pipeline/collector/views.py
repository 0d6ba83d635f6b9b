"""`POST /v1/views`: read, authenticate, decode, admit, acknowledge, answer."""

import time
from typing import Any

import msgspec
from litestar import Request, Response, post

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
from pipeline.collector.incoming import Batch, decode
from pipeline.collector.keyring import Key
from pipeline.collector.problems import ProblemError
from pipeline.collector.produce import headers_of
from schemas.metrics import ACK_SECONDS, COLLECTED, TURNED_AWAY

_MAX_AGENT = 2048


@post("/v1/views", status_code=202)
async def post_views(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Takes events; the answer says of each whether it was accepted."""
    arrived = time.perf_counter()
    scope = request.scope
    door: Door = request.app.state.door
    headers = headers_by_name(scope["headers"])
    lines = is_lines(headers.get("content-type", "application/json"))
    with door.capacity.hold(REQUEST_BYTES + _announced(headers)):
        packed = await read_body(scope_receive(request), door.settings.collector_timeout_s)
        now_ms = time.time_ns() // 1_000_000
        key = authenticate(door.keyring, headers, request.query_params.get("key"), packed, now_ms)
        body = unpack(packed, headers.get("content-encoding", ""))
        with door.capacity.hold(REQUEST_BYTES + len(body), key.key_id):
            batch = decode(body, lines)
            await _admit(door, batch, key, request, headers, now_ms)
            messages = to_messages(batch)
            for rejected in batch.rejected:
                TURNED_AWAY.labels(rejected.reason).inc()
            if not messages:
                raise _nothing_accepted(batch)
            trace = trace_of(headers)
            await door.kafka.send(messages, headers_of(scope["state"]["request_id"], *trace))
    COLLECTED.inc(len(messages))
    ACK_SECONDS.observe(time.perf_counter() - arrived)
    return Response(
        msgspec.json.encode({"accepted": len(messages), "rejected": batch.rejected}),
        status_code=202,
        media_type="application/json",
    )


def scope_receive(request: Request[Any, Any, Any]) -> Any:
    """The ASGI channel of a request: read here, so that it is bounded in time and size."""
    return request.receive


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


async def _admit(
    door: Door,
    batch: Batch,
    key: Key,
    request: Request[Any, Any, Any],
    headers: dict[str, str],
    now_ms: int,
) -> None:
    """Quotas first: what is beyond them costs nothing more."""
    is_server = key.kind == "secret"
    address = None
    if not is_server:
        peer = request.scope["client"]
        address = client_address(
            peer[0] if peer else "", headers, door.trusted, door.settings.proxy_header
        )
    events = len(batch.events) + len(batch.rejected)
    if (wait_s := await door.quota.spend(key, address, events)) is not None:
        detail = f"{events} events are more than the quota of the key or the address allows now"
        raise ProblemError(429, "quota", detail, retry_after_s=wait_s)
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
