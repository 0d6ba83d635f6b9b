"""What settlements consist of: accruals, and the views in ClickHouse that they count."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sinks.clickhouse import Client
from sinks.postgres import Connection


class Event(msgspec.Struct, frozen=True):
    """A view, and by what it was judged."""

    event_id: str
    raw_offset: int
    scored_offset: int
    model_version: str
    policy_version: str


class TracedAccrual(msgspec.Struct, frozen=True):
    """An accrual, and what ClickHouse has of it."""

    settlement_id: int
    """Journal of the settlement."""
    accrual_id: int
    journal_id: int
    partition: int
    scored_from: int
    scored_next: int
    """The booked stretch of views.scored, half-open."""
    campaign_id: str
    promoter_id: str
    currency: str
    rate_micros: int
    log_hour: datetime
    views: int
    capped_views: int
    fee_micros: int
    corrected_views: int
    """Taken back before it was settled."""
    corrected_micros: int
    """What the promoter lost by that."""
    net_micros: int
    """Settled."""
    found_views: int = 0
    """Valid views in ClickHouse: should be `views` and `capped_views`."""
    events: list[Event] = []
    """The first ones, by raw offset."""


_ACCRUALS = """
    SELECT settled.journal_id, accrual_id, accruals.journal_id, partition, scored_from,
        scored_next, campaign_id, promoter_id, currency, rate_micros, log_hour, accruals.views,
        capped_views, accruals.fee_micros, back.views, back.micros, net_micros
    FROM settled_accruals AS settled
    JOIN accruals USING (accrual_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(corrections.views), 0)::bigint AS views,
            coalesce(sum(corrections.amount_micros - corrections.fee_micros), 0)::bigint AS micros
        FROM corrections
        WHERE corrections.accrual_id = accruals.accrual_id
            AND reversal_id < settled.journal_id) AS back
    WHERE settled.journal_id = ANY (%s)
    ORDER BY settled.journal_id, accrual_id
"""
# By block and not by view: a block is in one accrual for each campaign, rate and hour. The days
# prune partitions; campaign and promoter are how the table is ordered.
_VIEWS = """
    SELECT partition, campaign_id, currency, rate_micros,
        toUnixTimestamp(toStartOfHour(log_time)) AS hour, scored_offset, count(),
        groupArraySorted({events:UInt32})(
            (raw_offset, event_id, toString(model_version), toString(policy_version)))
    FROM views
    WHERE campaign_id IN {campaigns:Array(String)} AND promoter_id = {promoter:String}
        AND log_time >= {from:DateTime('UTC')} AND log_time < {to:DateTime('UTC')}
        AND partition IN {partitions:Array(UInt16)}
        AND scored_offset >= {first:UInt64} AND scored_offset < {next:UInt64}
        AND verdict = 'valid'
    GROUP BY partition, campaign_id, currency, rate_micros, hour, scored_offset
"""
# Views that a correction made valid: their accrual is no stretch of the log.
_CORRECTED = """
    SELECT accrual_id, count(), groupArraySorted({events:UInt32})(
        (raw_offset, event_id, scored_offset, toString(model_version), toString(policy_version)))
    FROM corrections FINAL
    WHERE accrual_id IN {accruals:Array(UInt64)} AND became = 'valid' GROUP BY accrual_id
"""
_Key = tuple[int, str, str, int, int]
"""Partition, campaign, currency, rate, hour as a Unix time."""


def load_accruals(conn: Connection, settlement_ids: Collection[int]) -> list[TracedAccrual]:
    """What settlements settled, without what ClickHouse has."""
    return [TracedAccrual(*row) for row in conn.execute(_ACCRUALS, (list(settlement_ids),))]


def find_views(
    client: Client, promoter_id: str, accruals: list[TracedAccrual], max_events: int
) -> list[TracedAccrual]:
    """The same accruals with what ClickHouse has of them, in one query.

    Args:
        accruals: of this promoter; those of others find nothing.
        max_events: most events of each accrual.
    """
    by_key: dict[_Key, list[TracedAccrual]] = defaultdict(list)
    booked = [one for one in accruals if one.partition >= 0]
    for one in sorted(booked, key=lambda accrual: accrual.scored_from):
        hour = int(one.log_hour.timestamp())
        by_key[one.partition, one.campaign_id, one.currency, one.rate_micros, hour].append(one)
    counts: dict[int, int] = defaultdict(int)
    events: dict[int, list[Event]] = defaultdict(list)
    for *key, scored_offset, count, first in _ask(client, promoter_id, booked, max_events):
        known = by_key.get(tuple(key), [])
        at = bisect_right(known, scored_offset, key=lambda accrual: accrual.scored_from) - 1
        if at >= 0 and scored_offset < known[at].scored_next:
            counts[known[at].accrual_id] += count
            events[known[at].accrual_id] += [
                Event(event_id, raw_offset, scored_offset, model, policy)
                for raw_offset, event_id, model, policy in first
            ]
    for accrual_id, count, first in _ask_corrections(client, accruals, max_events):
        counts[accrual_id] = count
        events[accrual_id] = [
            Event(event_id, raw_offset, scored_offset, model, policy)
            for raw_offset, event_id, scored_offset, model, policy in first
        ]
    return [
        msgspec.structs.replace(
            accrual,
            found_views=counts[accrual.accrual_id],
            events=sorted(events[accrual.accrual_id], key=_offset)[:max_events],
        )
        for accrual in accruals
    ]


def _offset(event: Event) -> int:
    return event.raw_offset


def _ask(client: Client, promoter_id: str, accruals: list[TracedAccrual], max_events: int) -> Any:
    if not accruals:
        return []
    hours = [accrual.log_hour for accrual in accruals]
    return client.query(
        _VIEWS,
        parameters={
            "events": max(max_events, 1),
            "campaigns": sorted({accrual.campaign_id for accrual in accruals}),
            "promoter": promoter_id,
            "from": min(hours),
            "to": max(hours) + timedelta(hours=1),
            "partitions": sorted({accrual.partition for accrual in accruals}),
            "first": min(accrual.scored_from for accrual in accruals),
            "next": max(accrual.scored_next for accrual in accruals),
        },
    ).result_rows


def _ask_corrections(client: Client, accruals: list[TracedAccrual], max_events: int) -> Any:
    wanted = [accrual.accrual_id for accrual in accruals if accrual.partition < 0]
    if not wanted:
        return []
    parameters = {"events": max(max_events, 1), "accruals": wanted}
    return client.query(_CORRECTED, parameters=parameters).result_rows
