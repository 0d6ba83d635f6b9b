"""The event `view/1`: one watched view, as a tracking SDK reports it.

One JSON object per Kafka message of `views.raw`, keyed by `viewer_id`. Times are
milliseconds since 1970 UTC. Producers partition by murmur2 of the key (the default of the
Java client and of aiokafka; `partitioner=murmur2_random` in librdkafka), so that every retry
of an event lands in the same partition.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

MAX_EVENT_BYTES = 64 * 1024
LAST_MS = 4_102_444_800_000
"""2100-01-01: a later time is a broken clock or another unit."""
LAST_DURATION_MS = 2**31 - 1

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Pseudonym = Annotated[str, Meta(min_length=8, max_length=64)]
EventId = Annotated[
    str,
    Meta(
        min_length=16,
        max_length=64,
        # Checked per block by `pipeline.score.decode`, a pattern here would run per event.
        extra_json_schema={"pattern": "^[A-Za-z0-9_-]{16,64}$"},
    ),
]
Millis = Annotated[int, Meta(ge=0, le=LAST_MS)]
DurationMs = Annotated[int, Meta(ge=0, le=LAST_DURATION_MS)]
Percent = Annotated[float, Meta(ge=0, le=100)]
ShortText = Annotated[str, Meta(max_length=64)]
LongText = Annotated[str, Meta(max_length=2048)]
HintsText = Annotated[str, Meta(max_length=512)]
KeyedHash = Annotated[str, Meta(min_length=16, max_length=16)]
"""Hex digits; one that has others is an unknown address, as an unreadable `ip` is."""
Platform = Literal["tiktok", "instagram", "youtube", "web"]
Network = Literal["datacenter", "vpn", "tor", "other", "allowed", "denied"]
"""The last two by the operator's own lists (`viewledger lists`), whatever else it belongs to."""
Consent = Literal["granted", "denied"]

EVENT_ID_PATTERN = "[A-Za-z0-9_-]*"


class View(msgspec.Struct, gc=False, kw_only=True):
    """One view, decoded. Optional fields are None where the sender left them out."""

    schema: Annotated[Literal["view/1"], Meta(description="version of this contract")]
    event_id: Annotated[EventId, Meta(description="made once by the SDK, same on every retry")]
    campaign_id: Annotated[Id, Meta(description="what was watched")]
    promoter_id: Annotated[Id, Meta(description="for whom")]
    post_id: Annotated[Id, Meta(description="through which post")]
    platform: Platform
    viewer_id: Annotated[Pseudonym, Meta(description="pseudonym made by the SDK; message key")]
    session_id: Annotated[Pseudonym, Meta(description="pseudonym made by the SDK")]
    occurred_at: Annotated[Millis, Meta(description="client clock")]
    sent_at: Annotated[Millis, Meta(description="client clock, new on every retry")]
    watch_ms: Annotated[DurationMs, Meta(description="time watched")]
    duration_ms: Annotated[DurationMs, Meta(description="length of the video, 0: none")]
    visible_pct: Annotated[Percent, Meta(description="share of the player that was visible")]
    received_at: Annotated[
        Millis | None, Meta(description="set by the collector; else the log time")
    ] = None
    ip: Annotated[ShortText | None, Meta(description="set by the collector")] = None
    ip_hash: Annotated[
        KeyedHash | None,
        Meta(description="set by the collector: keyed hash of IPv4 or of the /64 of IPv6, hex"),
    ] = None
    ip_prefix_hash: Annotated[
        KeyedHash | None, Meta(description="set by the collector: of the /24 or /48, hex")
    ] = None
    network: Annotated[
        Network | None, Meta(description="set by the collector: what the address belongs to")
    ] = None
    user_agent: Annotated[LongText | None, Meta(description="set by the collector")] = None
    client_hints: Annotated[
        HintsText | None, Meta(description="set by the collector: of the headers Sec-CH-UA…")
    ] = None
    interactions: Annotated[
        Annotated[int, Meta(ge=0, le=LAST_DURATION_MS)] | None,
        Meta(description="taps, seeks, unmutes during the view"),
    ] = None
    muted: bool | None = None
    autoplay: bool | None = None
    screen: Annotated[ShortText | None, Meta(description="such as 390x844")] = None
    language: Annotated[ShortText | None, Meta(description="such as en-GB")] = None
    tz_offset_min: Annotated[
        Annotated[int, Meta(ge=-1440, le=1440)] | None, Meta(description="minutes from UTC")
    ] = None
    referrer: Annotated[LongText | None, Meta(description="URL")] = None
    consent: Annotated[
        Consent | None, Meta(description="what the viewer said; left out where nobody asked")
    ] = None
    collector: Annotated[
        ShortText | None, Meta(description="set by the collector: which one it was")
    ] = None
    attrs: Annotated[
        Annotated[dict[ShortText, LongText], Meta(max_length=16)] | UnsetType,
        Meta(description="room for more; kept, never judged silently"),
    ] = UNSET


def json_schema() -> dict[str, Any]:
    """The contract as JSON Schema 2020-12, as `viewledger schema` prints it."""
    schema = msgspec.json.schema(View)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
