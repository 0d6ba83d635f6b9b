"""Held views that wait for a decision: by settlement, or by a person before it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from schemas.verdicts import reason_labels
from sinks.clickhouse import Client

_Struct = TypeVar("_Struct", bound=msgspec.Struct)

# What was decided by anybody is in `corrections`: a held view never stays what it was.
_HELD = """
    verdict = 'held' AND (partition, raw_offset) NOT IN
        (SELECT partition, raw_offset FROM corrections WHERE was = 'held')
"""
_GROUPS = f"""
    SELECT promoter_id, campaign_id, reasons, currency, count(), sum(rate_micros), min(log_time),
        max(log_time)
    FROM views WHERE {_HELD} GROUP BY promoter_id, campaign_id, reasons, currency
    ORDER BY sum(rate_micros) DESC, promoter_id, campaign_id, reasons, currency
"""  # noqa: S608 - text of ours
_VIEWS = f"""
    SELECT event_id, log_time, campaign_id, promoter_id, toString(verdict), reasons, score,
        currency, rate_micros, toString(platform), watch_ms
    FROM views WHERE promoter_id = {{promoter:String}} AND {_HELD}
    ORDER BY log_time, partition, raw_offset LIMIT {{most:UInt64}}
"""  # noqa: S608 - text of ours


class HeldGroup(msgspec.Struct, frozen=True):
    """Held views of a promoter in a campaign, for the same reasons."""

    promoter_id: str
    campaign_id: str
    reasons: Sequence[str]
    currency: str
    views: int
    micros: int
    """What they would cost."""
    oldest: datetime
    newest: datetime


class ListedView(msgspec.Struct, frozen=True):
    """A single view."""

    event_id: str
    log_time: datetime
    campaign_id: str
    promoter_id: str
    verdict: str
    reasons: Sequence[str]
    score: float | None
    currency: str
    rate_micros: int
    platform: str
    watch_ms: int


def held_groups(client: Client) -> list[HeldGroup]:
    """All held views, the most money first (whatever the currency)."""
    rows = client.query(_GROUPS, tz_mode="aware").result_rows
    return [_make(HeldGroup, [*row[:2], reason_labels(row[2]), *row[3:]]) for row in rows]


def held_views(client: Client, promoter_id: str, most: int) -> list[ListedView]:
    """Held views of a promoter, the oldest first."""
    parameters = {"promoter": promoter_id, "most": most}
    rows = client.query(_VIEWS, parameters=parameters, tz_mode="aware").result_rows
    return [listed(row) for row in rows]


def listed(row: Sequence[Any]) -> ListedView:
    """A row of `event_id` to `watch_ms`, with its reasons as bits."""
    return _make(ListedView, [*row[:5], reason_labels(row[5]), *row[6:]])


def _make(kind: type[_Struct], values: Sequence[Any]) -> _Struct:
    return kind(**dict(zip(kind.__struct_fields__, values, strict=True)))
