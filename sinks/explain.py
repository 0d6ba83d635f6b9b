"""What ClickHouse knows of the judgement on an event."""

from datetime import datetime

import msgspec

from sinks.clickhouse import Client

_VIEWS = """
    SELECT event_id, partition, raw_offset, scored_offset, log_time, campaign_id, promoter_id,
        toString(verdict), reasons, score, model_version, policy_version, lists_version, features,
        shadow_scores
    FROM views WHERE event_id = {event:String} ORDER BY log_time, raw_offset LIMIT 100
"""
_BLOCK = """
    SELECT features_digest, shadows, shadow_thresholds FROM blocks
    WHERE partition = {partition:UInt16} AND scored_offset = {scored_offset:UInt64}
"""
_REFUSED = """
    SELECT toString(reason), log_time FROM views_rejected
    WHERE event_id = {event:String} ORDER BY log_time, raw_offset LIMIT 100
"""
# Copied twice, a correction is one row of `corrections FINAL`.
_CORRECTIONS = """
    SELECT was, became, became_reasons, why, actor, note, corrected_at, rules_version,
        model_version, paid_micros, capped_micros, currency
    FROM corrections FINAL
    WHERE partition = {partition:UInt16} AND raw_offset = {raw_offset:UInt64}
    ORDER BY correction_id
"""


class CorrectedView(msgspec.Struct, frozen=True):
    """A row of `corrections`: what the view became later."""

    was: str
    became: str
    became_reasons: int
    """Bits of `schemas.verdicts.Reason`."""
    why: str
    """`hindsight` or `review`."""
    actor: str
    note: str
    corrected_at: datetime
    rules_version: str
    """Empty of a review."""
    model_version: str
    paid_micros: int
    """What the campaign pays more; below zero: gets back."""
    capped_micros: int
    currency: str


class JudgedView(msgspec.Struct, frozen=True):
    """A row of `views`, as far as it says how it was judged."""

    event_id: str
    partition: int
    raw_offset: int
    scored_offset: int
    log_time: datetime
    campaign_id: str
    promoter_id: str
    verdict: str
    reasons: int
    """Bits of `schemas.verdicts.Reason`."""
    score: float | None
    model_version: str
    policy_version: str
    lists_version: str
    features: list[float]
    """Empty where they were not kept, or not any more."""
    shadow_scores: list[float]
    features_digest: str = ""
    """From here on of its row in `blocks`."""
    shadows: list[str] = []
    shadow_thresholds: list[float] = []
    corrections: list[CorrectedView] = []
    """In their order; the last one is what counts."""


class RefusedEvent(msgspec.Struct, frozen=True):
    """A row of `views_rejected`."""

    reason: str
    log_time: datetime


def load_judged(client: Client, event_id: str) -> tuple[list[JudgedView], list[RefusedEvent]]:
    """The views with an event id, one in all but odd cases, and the events that were refused."""
    parameters = {"event": event_id}
    # No index leads to an event id: one column is read.
    views = client.query(_VIEWS, parameters=parameters, tz_mode="aware").result_rows
    refused = client.query(_REFUSED, parameters=parameters, tz_mode="aware").result_rows
    found = []
    for row in views:
        view = JudgedView(*row)
        at = {"partition": view.partition, "scored_offset": view.scored_offset}
        # Its row comes after those of the views: store may be about to write it.
        block = client.query(_BLOCK, parameters=at).result_rows or [("", [], [])]
        at = {"partition": view.partition, "raw_offset": view.raw_offset}
        later = client.query(_CORRECTIONS, parameters=at, tz_mode="aware").result_rows
        corrections = [CorrectedView(*one) for one in later]
        judged = JudgedView(*row, *block[0])
        found.append(msgspec.structs.replace(judged, corrections=corrections))
    return found, [RefusedEvent(*row) for row in refused]
