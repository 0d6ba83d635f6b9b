"""Headers: what is read of a request's, and what every answer carries."""

import re
from collections.abc import Awaitable, Callable, Iterable
from random import getrandbits
from typing import Any

from pipeline.collector.keyring import Keyring
from schemas.metrics import REQUESTS

Pairs = Iterable[tuple[bytes, bytes]]
Asgi = Callable[[Any, Any, Any], Awaitable[None]]

_request_id = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_traceparent = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_HINTS = {
    "sec-ch-ua": "brands",
    "sec-ch-ua-mobile": "mobile",
    "sec-ch-ua-platform": "platform",
}
_MAX_HINTS = 512
_MAX_TRACESTATE = 512
_SECURITY = [
    (b"server", b"viewledger"),  # else the server adds what it is
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"cross-origin"),
]
_PREFLIGHT = [
    (b"access-control-allow-methods", b"POST"),
    (
        b"access-control-allow-headers",
        b"content-type, content-encoding, x-viewledger-key, x-request-id, traceparent, tracestate",
    ),
    (b"access-control-max-age", b"86400"),
]


def headers_by_name(pairs: Pairs) -> dict[str, str]:
    """Headers by lower-case name; repeated ones joined by a comma, as HTTP means them."""
    found: dict[str, str] = {}
    for name, value in pairs:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def client_hints(headers: dict[str, str]) -> str | None:
    """The low-entropy client hints in one text, `brands=…; mobile=?1; platform="…"`."""
    said = [f"{short}={headers[name]}" for name, short in _HINTS.items() if headers.get(name)]
    return "; ".join(said)[:_MAX_HINTS] or None


def wants_no_tracking(headers: dict[str, str]) -> bool:
    """Whether the browser says Do-Not-Track or Global Privacy Control."""
    return headers.get("dnt") == "1" or headers.get("sec-gpc") == "1"


def trace_of(headers: dict[str, str]) -> tuple[str, str]:
    """W3C trace context as it came, `traceparent` and `tracestate`; empty where it is none."""
    parent = headers.get("traceparent", "")
    if not _traceparent.fullmatch(parent) or parent.startswith("ff"):
        return "", ""
    state = headers.get("tracestate", "")
    return parent, state if len(state) <= _MAX_TRACESTATE and state.isascii() else ""


def with_headers(app: Asgi, keyring: Callable[[], Keyring]) -> Asgi:
    """Wraps an app: request ids, CORS, security headers, and requests by status."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        asked = {name: value for name, value in scope["headers"] if name in _ASKED}
        request_id = asked.get(b"x-request-id", b"").decode("latin-1")
        if not _request_id(request_id):
            request_id = f"{getrandbits(64):016x}"
        scope.setdefault("state", {})["request_id"] = request_id
        extra = [*_SECURITY, (b"x-request-id", request_id.encode())]
        origin = asked.get(b"origin", b"")
        if origin:
            extra.append((b"vary", b"Origin"))
            if origin.decode("latin-1") in keyring().origins():
                extra.append((b"access-control-allow-origin", origin))
                extra.append((b"access-control-expose-headers", b"retry-after, x-request-id"))

        async def send_more(message: Any) -> None:
            if message["type"] == "http.response.start":
                REQUESTS.labels(message["status"], scope["state"].get("problem", "")).inc()
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        if scope["method"] == "OPTIONS" and b"access-control-request-method" in asked:
            start = {"type": "http.response.start", "status": 204, "headers": _PREFLIGHT}
            await send_more(start)
            await send_more({"type": "http.response.body", "body": b""})
        else:
            await app(scope, receive, send_more)

    return answer


_ASKED = (b"x-request-id", b"origin", b"access-control-request-method")
