"""The steps of `score` for one event at a time, in plain Python: what vanilla Faust can run.

The same decoding, catalogue checks, duplicates, features, lists, policy, model and verdicts as
`pipeline.score` (`tests/bench/test_vanilla_steps.py` compares them), written for one event.
Everything is in memory, what viewledger shares through Redis as well: no round trip per event,
which only a simpler program than viewledger can do without.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np

from bench.vanilla_features import features_of
from bench.vanilla_memory import Memory
from models.address import address_of, number_of_hash, prefix_of_one
from models.lists import Lists
from pipeline.score.policy import RULES
from schemas.catalogue import Catalogue
from schemas.verdicts import Reason, Refusal, Verdict
from schemas.view import EVENT_ID_PATTERN, MAX_EVENT_BYTES, View

_decode = msgspec.json.Decoder(View).decode
_event_id_characters = re.compile(EVENT_ID_PATTERN).fullmatch
_DAY_MS = 24 * 3_600_000
_LATE_MS, _FUTURE_MS = _DAY_MS, 5 * 60_000


class Known(NamedTuple):
    """All that one process remembers."""

    catalogue: Catalogue
    lists: Lists
    threshold: float
    events: set[str]
    paid: set[tuple[str, str, int]]
    memory: Memory


class Prepared(NamedTuple):
    """An accepted view that lacks only the model's opinion."""

    view: View
    log_time: int
    viewed_at: int
    features: list[float]
    reasons: int


def prepare(known: Known, key: bytes | None, value: bytes, log_time: int) -> Prepared | Refusal:
    """Everything up to the model."""
    try:
        view = _decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Refusal.NOT_JSON
    if len(value) > MAX_EVENT_BYTES:
        return Refusal.TOO_LARGE
    if not _event_id_characters(view.event_id):
        return Refusal.INVALID_ID
    received_at = view.received_at or log_time
    viewed_at = view.occurred_at + received_at - view.sent_at
    refusal = _admit(known, view, key, viewed_at, log_time)
    if refusal is not None:
        return refusal
    known.events.add(view.event_id)
    places = places_of(view.ip, view.ip_hash, view.ip_prefix_hash)
    features = features_of(known.memory, view, viewed_at, received_at, log_time, places)
    reasons = _lists(known, view, places[0]) | _policy(view)
    return Prepared(view, log_time, viewed_at, features, reasons)


def finish(known: Known, prepared: Prepared, score: float) -> dict[str, Any]:
    """The verdict, as the event that goes out."""
    view, reasons = prepared.view, prepared.reasons
    if score >= known.threshold:
        reasons |= Reason.MODEL_SCORE.bit
    verdict = Verdict.VALID
    if reasons >> Reason.DECLARED_BOT:
        verdict = Verdict.INVALID
    elif reasons:
        verdict = Verdict.UNQUALIFIED
    else:
        once = (view.viewer_id, view.post_id, prepared.viewed_at // _DAY_MS)
        if once in known.paid:
            verdict, reasons = Verdict.UNQUALIFIED, Reason.REPEAT_VIEW.bit
        known.paid.add(once)
    campaign = known.catalogue.campaigns[view.campaign_id]
    return {
        **msgspec.to_builtins(view),
        "log_time": prepared.log_time,
        "viewed_at": prepared.viewed_at,
        "currency": campaign.currency,
        "rate_micros": known.catalogue.rate_at(view.campaign_id, prepared.viewed_at),
        "verdict": verdict.value,
        "reasons": reasons,
        "score": score,
    }


def _admit(
    known: Known, view: View, key: bytes | None, viewed_at: int, log_time: int
) -> Refusal | None:
    if key != view.viewer_id.encode():
        return Refusal.KEY_MISMATCH
    promoter = known.catalogue.promoters.get(view.promoter_id)
    if promoter is None:
        return Refusal.UNKNOWN_PROMOTER
    if promoter.status == "suspended":
        return Refusal.PROMOTER_SUSPENDED
    campaign = known.catalogue.campaigns.get(view.campaign_id)
    if campaign is None:
        return Refusal.UNKNOWN_CAMPAIGN
    if viewed_at < campaign.starts_at.timestamp() * 1000:
        return Refusal.CAMPAIGN_NOT_STARTED
    if campaign.status == "ended" or viewed_at >= campaign.ends_at.timestamp() * 1000:
        return Refusal.CAMPAIGN_ENDED
    if campaign.status == "paused":
        return Refusal.CAMPAIGN_PAUSED
    if viewed_at < log_time - _LATE_MS:
        return Refusal.TOO_LATE
    if viewed_at > log_time + _FUTURE_MS:
        return Refusal.IN_FUTURE
    return Refusal.DUPLICATE if view.event_id in known.events else None


@lru_cache(1 << 17)
def places_of(ip: str | None, ip_hash: str | None, prefix_hash: str | None) -> tuple[int, int]:
    """As `models.address.places_of`, of one view."""
    address = 0 if ip is None else address_of(ip)
    if address:
        return address, prefix_of_one(address)
    return number_of_hash(ip_hash or ""), number_of_hash(prefix_hash or "")


def _lists(known: Known, view: View, address: int) -> int:
    reasons = 0
    lists = known.lists
    if lists.declared[view.user_agent]:
        reasons |= Reason.DECLARED_BOT.bit
    if 0 < address < 1 << 32:
        place = int(np.searchsorted(lists.networks.start, np.uint64(address), side="right")) - 1
        if lists.networks.code[place]:
            reasons |= Reason.DATACENTER_ADDRESS.bit
    watch = view.watch_ms
    if (
        watch > view.duration_ms * 50
        or watch > _DAY_MS
        or (view.interactions or 0) > 10 + 20 * watch / 1e3
        or view.sent_at - view.occurred_at < -60_000
    ):
        reasons |= Reason.IMPOSSIBLE_VALUES.bit
    return reasons


def _policy(view: View) -> int:
    rule, reasons = RULES[view.platform], 0
    needed = min(rule.min_watch_ms, view.duration_ms) if view.duration_ms else rule.min_watch_ms
    if view.watch_ms < needed:
        reasons |= Reason.BELOW_MIN_WATCH.bit
    if view.visible_pct < rule.min_visible_pct:
        reasons |= Reason.BELOW_MIN_VISIBLE.bit
    return reasons
