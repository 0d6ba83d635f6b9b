"""The steps of `score` for one event at a time, in plain Python: what vanilla Faust can run.

The same decoding, catalogue checks, duplicates, features, lists, policy, model and verdicts as
`pipeline.score` (`tests/bench/test_vanilla_steps.py` compares them), written for one event.
Everything is in memory, the counters that viewledger shares through Redis as well: no round
trip per event, which only a simpler program than viewledger can do without.
"""

import math
import re
from typing import Any, NamedTuple

import msgspec
import numpy as np

from models.address import address_of
from models.features import FAMILIES
from models.lists import Lists
from models.viewers import KEEP_MS, WINDOWS_MS
from pipeline.score.policy import RULES
from schemas.catalogue import Catalogue
from schemas.verdicts import Reason, Refusal, Verdict
from schemas.view import EVENT_ID_PATTERN, MAX_EVENT_BYTES, View

_decode = msgspec.json.Decoder(View).decode
_event_id_characters = re.compile(EVENT_ID_PATTERN).fullmatch
_NAN = math.nan
_DAY_MS, _HOUR_MS = 24 * 3_600_000, 3_600_000
_LATE_MS, _FUTURE_MS = _DAY_MS, 5 * 60_000


class Viewer:
    """What is remembered of a viewer."""

    __slots__ = ("buckets", "gap", "seen", "viewed", "watch")

    def __init__(self) -> None:
        self.seen = self.viewed = self.watch = 0
        self.gap: float = _NAN
        self.buckets = [[0, 0, 0] for _ in WINDOWS_MS]
        """Newest bucket of each window, its views, those of the bucket before it."""


class Known(NamedTuple):
    """All that one process remembers."""

    catalogue: Catalogue
    lists: Lists
    threshold: float
    events: set[str]
    paid: set[tuple[str, str, int]]
    viewers: dict[str, Viewer]
    counters: dict[tuple[Any, ...], list[int]]
    addresses: dict[str, int]


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
    address = _address(known, view.ip)
    features = _features(known, view, viewed_at, received_at, log_time, address)
    reasons = _lists(known, view, address) | _policy(view)
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


def _features(
    known: Known, view: View, viewed_at: int, received_at: int, log_time: int, address: int
) -> list[float]:
    """The columns of `models.features.FEATURES`, in their order."""
    viewer = known.viewers.get(view.viewer_id)
    is_new = viewer is None or log_time - viewer.seen > KEEP_MS
    if viewer is None or is_new:
        viewer = known.viewers[view.viewer_id] = Viewer()
    gap = _NAN if is_new else viewed_at - viewer.viewed
    last_gap, last_watch = viewer.gap, _NAN if is_new else viewer.watch
    counts = [
        _count(buckets, viewed_at, window_ms)
        for buckets, window_ms in zip(viewer.buckets, WINDOWS_MS, strict=True)
    ]
    viewer.seen, viewer.viewed, viewer.gap, viewer.watch = log_time, viewed_at, gap, view.watch_ms
    tz = _NAN if view.tz_offset_min is None else view.tz_offset_min
    watch = view.watch_ms
    return [
        watch / 1e3,
        watch / view.duration_ms if view.duration_ms > 0 else _NAN,
        view.visible_pct,
        _NAN if view.interactions is None else view.interactions,
        _NAN if view.muted is None else view.muted,
        _NAN if view.autoplay is None else view.autoplay,
        (view.sent_at - view.occurred_at) / 1e3,
        (received_at - view.sent_at) / 1e3,
        (viewed_at / _HOUR_MS + tz / 60) % 24,
        is_new,
        *counts,
        gap / 1e3,
        (gap - watch) / 1e3,
        abs(gap - last_gap) / 1e3,
        abs(watch - last_watch) / 1e3,
        *_velocity(known, view, viewed_at, address, last_watch, is_new),
    ]


def _count(buckets: list[int], viewed_at: int, window_ms: int) -> float:
    newest, count, earlier = buckets
    bucket = max(viewed_at // window_ms, newest)
    if bucket > newest:
        count, earlier = 0, count if bucket == newest + 1 else 0
    buckets[:] = bucket, count + 1, earlier
    return count + earlier * (1 - min(max(viewed_at / window_ms - bucket, 0.0), 1.0))


def _velocity(
    known: Known, view: View, viewed_at: int, address: int, last_watch: float, is_new: bool
) -> list[float]:
    promoter = view.promoter_id
    prefix = address >> 8 if address < 1 << 32 else address >> 16
    device = (view.user_agent, view.screen, view.language, view.tz_offset_min, promoter)
    paired = not math.isnan(last_watch)
    entities = (
        address or None,
        promoter,
        (prefix, promoter) if address else None,
        device if view.user_agent else None,
        (view.watch_ms // 16, int(last_watch) // 16) if paired else None,
    )
    found = []
    for family, entity in zip(FAMILIES, entities, strict=True):
        if entity is None:
            found.append((_NAN, _NAN))
            continue
        window = family.window_ms
        key = (family.name, entity, (viewed_at + hash(entity) % window) // window)
        counter = known.counters.setdefault(key, [0, 0])
        found.append((counter[0], counter[1]))
        counter[0] += 1
        counter[1] += is_new
    at_address, of_promoter, of_prefix, of_device, of_sequence = found
    return [
        at_address[0],
        at_address[1] / (at_address[0] + 10),
        of_promoter[1] / (of_promoter[0] + 10),
        of_prefix[0] / (of_promoter[0] + 10),
        of_prefix[1],
        of_device[0] / (of_promoter[0] + 10),
        of_device[0],
        of_sequence[0],
    ]


def _address(known: Known, ip: str | None) -> int:
    if ip is None:
        return 0
    address = known.addresses.get(ip)
    if address is None:
        address = known.addresses[ip] = address_of(ip)
    return address


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
