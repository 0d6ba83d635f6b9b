"""What a key, its sender and a viewer's wishes make of the events of a request."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from pipeline.collector.consent import policy, strip
from pipeline.collector.incoming import Batch, Incoming
from pipeline.collector.keyring import Key
from pipeline.collector.privacy import Origin, Privacy
from pipeline.collector.produce import Message
from schemas.settings import Settings
from schemas.verdicts import Refusal
from schemas.view import MAX_EVENT_BYTES

_encode = msgspec.json.Encoder().encode


class Sender(NamedTuple):
    """What is known about where a request comes from."""

    origin: Origin
    user_agent: str | None
    client_hints: str | None
    do_not_track: bool
    is_server: bool
    """It signed with a secret key: what it says about its viewers is believed."""


def check_campaigns(batch: Batch, key: Key) -> None:
    """Turns away the events of campaigns that the key is not for."""
    if key.campaigns:
        bad = [event.campaign_id not in key.campaigns for event in batch.events]
        detail = f"the key {key.key_id} is not for this campaign"
        batch.turn_away(bad, "campaign_not_allowed", detail)


def enrich(
    events: Sequence[Incoming], sender: Sender, privacy: Privacy, collector: str, now_ms: int
) -> None:
    """Adds what the collector knows, over what a client may have said of it."""
    origin = sender.origin
    for event in events:
        event.collector = collector
        if sender.is_server:
            # A relay says when it received an event itself: sent_at is of the viewer's clock.
            event.received_at = event.received_at or now_ms
            origin = privacy.origin_of(event.ip, now_ms)
        else:
            event.received_at = now_ms
            event.user_agent, event.client_hints = sender.user_agent, sender.client_hints
        event.ip, event.ip_hash = origin.ip, origin.ip_hash
        event.ip_prefix_hash, event.network = origin.ip_prefix_hash, origin.network


def honour_wishes(batch: Batch, sender: Sender, settings: Settings) -> None:
    """Strips or turns away the events of viewers who don't want to be tracked."""
    if not sender.do_not_track and all(event.consent != "denied" for event in batch.events):
        return
    wishes = [policy(event.consent, sender.do_not_track, settings) for event in batch.events]
    for event, wish in zip(batch.events, wishes, strict=True):
        if wish == "strip":
            strip(event)
    bad = [wish == "drop" for wish in wishes]
    batch.turn_away(bad, "no_consent", "the viewer does not want to be tracked")


def to_messages(batch: Batch) -> list[Message]:
    """Key and value of each event; what has become too large is turned away."""
    values = [_encode(event) for event in batch.events]
    if max(map(len, values), default=0) > MAX_EVENT_BYTES:
        bad = [len(value) > MAX_EVENT_BYTES for value in values]
        detail = f"more than {MAX_EVENT_BYTES} bytes with what the collector adds"
        batch.turn_away(bad, Refusal.TOO_LARGE.label, detail)
        values = [value for value, is_bad in zip(values, bad, strict=True) if not is_bad]
    keys = [event.viewer_id for event in batch.events]
    return list(zip(keys, values, strict=True))
