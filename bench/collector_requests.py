"""Requests for the collector, made before anything is measured, so that sending them is cheap."""

import gzip
import hashlib
import hmac
import time
from typing import Any, NamedTuple

import msgspec

ORIGIN = "https://site.example"
_VIEWERS = 500_000
_ADDRESSES = 50_000
_AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)
_VIEW = {
    "schema": "view/1", "campaign_id": "spring-shoes", "promoter_id": "lena", "post_id": "7431",
    "platform": "tiktok", "session_id": "5d07aa93", "watch_ms": 9000, "duration_ms": 15000,
    "visible_pct": 100, "interactions": 2, "muted": True, "autoplay": False,
    "screen": "390x844", "language": "en-GB", "tz_offset_min": 60,
    "referrer": "https://www.tiktok.com/@lena/video/7431",
}  # fmt: skip


class Wanted(NamedTuple):
    """Which requests."""

    token: str
    """Of a publishable key; of a secret one: signed and with gzip."""
    batch: int
    """Events in each."""
    requests: int
    unique: str
    """Begins the id of every event."""


def requests(wanted: Wanted) -> list[bytes]:
    """HTTP/1.1 requests, heads and bodies, with the time of now."""
    make = _of_server if wanted.token.startswith("vlsk_") else _of_page
    return [make(wanted, number) for number in range(wanted.requests)]


def _of_page(wanted: Wanted, number: int) -> bytes:
    body = msgspec.json.encode(_events(wanted, number))
    return _request(f"?key={wanted.token}", {"Origin": ORIGIN, "User-Agent": _AGENT}, body)


def _of_server(wanted: Wanted, number: int) -> bytes:
    """The viewers' addresses and user agents are in the events: the server passes them on."""
    events = _events(wanted, number)
    for place, event in enumerate(events):
        viewer = (number * wanted.batch + place) % _ADDRESSES
        event["ip"] = f"11.{viewer >> 16}.{viewer >> 8 & 255}.{viewer & 255}"
        event["user_agent"] = _AGENT
    body = gzip.compress(msgspec.json.encode(events), 6)
    prefix, key_id, secret = wanted.token.split("_", 2)
    at = str(time.time_ns() // 1_000_000)
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "X-Viewledger-Key": f"{prefix}_{key_id}",
        "X-Viewledger-Timestamp": at,
        "X-Viewledger-Signature": f"v1={digest}",
        "Content-Encoding": "gzip",
    }
    return _request("", headers, body)


def _events(wanted: Wanted, number: int) -> list[dict[str, Any]]:
    now = time.time_ns() // 1_000_000
    first = number * wanted.batch
    return [
        {
            **_VIEW,
            "event_id": f"{wanted.unique}-{one:012}",
            "viewer_id": f"viewer-{one % _VIEWERS:08}",
            "occurred_at": now,
            "sent_at": now,
        }
        for one in range(first, first + wanted.batch)
    ]


def _request(query: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [
        f"POST /v1/views{query} HTTP/1.1",
        "Host: collector",
        "Content-Type: application/json",
        *(f"{name}: {value}" for name, value in headers.items()),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
