"""From an event id to what became of its view: verdict, block, accrual, settlement, payout."""

from datetime import datetime
from typing import Any

import msgspec

from schemas.verdicts import reason_labels
from sinks.clickhouse import Client
from sinks.postgres import Connection
from sinks.trace import BankAnswer, TracedLine, load_answers, load_line
from sinks.trace_payable import load_lines, paying_line


class FoundEvent(msgspec.Struct, frozen=True):
    """A row of ClickHouse with the event id: a view that was accepted, or a refusal."""

    event_id: str
    partition: int
    raw_offset: int
    scored_offset: int
    log_time: datetime
    campaign_id: str
    promoter_id: str
    verdict: str
    """Of a view; `refused` where the event was not accepted."""
    reasons: list[str]
    currency: str
    """From here on empty or 0 where refused."""
    rate_micros: int
    model_version: str
    policy_version: str
    lists_version: str


class Accrued(msgspec.Struct, frozen=True):
    """The accrual that counts a view, and when it was settled."""

    accrual_id: int
    journal_id: int | None
    scored_from: int
    scored_next: int
    views: int
    capped_views: int
    """Nobody knows which of the views these are."""
    corrected_views: int
    settlement_id: int | None
    settled_at: datetime | None


class Paid(msgspec.Struct, frozen=True):
    """A payout line that paid it, or tried to."""

    line: TracedLine
    answers: list[BankAnswer]


class Judged(msgspec.Struct, frozen=True):
    """A correction: what the view became, and by whom."""

    correction_id: int
    was: str
    became: str
    reasons: list[str]
    why: str
    actor: str
    note: str
    paid_micros: int
    """What the campaign paid more; below zero: got back."""
    corrected_at: datetime


class EventTrace(msgspec.Struct, frozen=True):
    """One row of ClickHouse and where its money is."""

    event: FoundEvent
    accrual: Accrued | None
    paid: list[Paid]
    """In order: all but the last one gave the money back."""
    problem: str
    """Empty where all is as it should be."""
    corrections: list[Judged] = []
    """Of settlement and reviews, in order."""


# No index leads to an event id: one column is read.
_VIEWS = """
    SELECT event_id, partition, raw_offset, scored_offset, log_time, campaign_id, promoter_id,
        toString(verdict), reason_names, currency, rate_micros, model_version, policy_version,
        lists_version
    FROM views WHERE event_id = {event:String} ORDER BY log_time, raw_offset LIMIT 100
"""
_REFUSED = """
    SELECT ifNull(event_id, ''), partition, raw_offset, scored_offset, log_time,
        ifNull(campaign_id, ''), ifNull(promoter_id, ''), 'refused', [toString(reason)], '', 0,
        '', '', ''
    FROM views_rejected WHERE event_id = {event:String} ORDER BY log_time, raw_offset LIMIT 100
"""
_CORRECTIONS = """
    SELECT view_correction_id, was, became, became_reasons, why, actor, note, paid_micros,
        corrected_at, accrual_id
    FROM view_corrections WHERE partition = %s AND raw_offset = %s ORDER BY view_correction_id
"""
_ACCRUAL = """
    SELECT accrual_id, accruals.journal_id, scored_from, scored_next, accruals.views, capped_views,
        (SELECT coalesce(sum(corrections.views), 0)::bigint FROM corrections
         WHERE corrections.accrual_id = accruals.accrual_id),
        settled.journal_id, settled_at
    FROM accruals LEFT JOIN settled_accruals AS settled USING (accrual_id)
"""
_BY_PLACE = """
    WHERE campaign_id = %s AND promoter_id = %s AND currency = %s AND rate_micros = %s
        AND log_hour = date_trunc('hour', %s::timestamptz, 'UTC')
        AND partition = %s AND scored_from <= %s AND scored_next > %s
"""


def trace_event(conn: Connection, client: Client, event_id: str) -> list[EventTrace]:
    """All that is known of an event id, the accepted views first; empty where nothing is.

    Args:
        conn: a connection that is in no transaction.
    """
    events = [
        FoundEvent(*row)
        for query in (_VIEWS, _REFUSED)
        for row in client.query(query, parameters={"event": event_id}, tz_mode="aware").result_rows
    ]
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return [_follow(conn, event) for event in events]


def _follow(conn: Connection, event: FoundEvent) -> EventTrace:
    rows = conn.execute(_CORRECTIONS, (event.partition, event.raw_offset)).fetchall()
    judged = [_judged(row) for row in rows if event.currency]
    # What counts it by now: a review may have booked anew what settlement took back.
    booked = [row[9] for row in rows if row[9] is not None and judged]
    if booked:
        where, values = "WHERE accrual_id = %s", tuple(booked[-1:])
    elif event.verdict == "valid":
        where, values = _BY_PLACE, _place(event)
    else:
        return EventTrace(event, None, [], "", judged)
    row = conn.execute((_ACCRUAL + where).encode(), values).fetchone()
    if row is None:
        return EventTrace(event, None, [], _why_not_booked(conn, event), judged)
    accrual = Accrued(*row)
    return EventTrace(event, accrual, _paid(conn, event, accrual), "", judged)


def _place(event: FoundEvent) -> tuple[Any, ...]:
    return (
        event.campaign_id,
        event.promoter_id,
        event.currency,
        event.rate_micros,
        event.log_time,
        event.partition,
        event.scored_offset,
        event.scored_offset,
    )


def _judged(row: tuple[Any, ...]) -> Judged:
    number, was, became, bits, *rest, _ = row
    return Judged(number, was, became, reason_labels(bits), *rest)


def _why_not_booked(conn: Connection, event: FoundEvent) -> str:
    row = conn.execute(
        "SELECT next_scored FROM book_progress WHERE partition = %s", (event.partition,)
    ).fetchone()
    booked = row[0] if row else 0
    if booked > event.scored_offset:
        return (
            f"the ledger booked partition {event.partition} up to scored offset {booked} and no "
            "accrual counts this view: run `viewledger reconcile`"
        )
    return ""


def _paid(conn: Connection, event: FoundEvent, accrual: Accrued) -> list[Paid]:
    """The lines one after the other: what comes back is paid by the next one."""
    found: list[Paid] = []
    if accrual.settlement_id is None or accrual.settled_at is None:
        return found
    lines = load_lines(conn, event.promoter_id, event.currency)
    line_id = paying_line(lines, accrual.settlement_id, accrual.settled_at)
    while line_id is not None:
        line = load_line(conn, line_id)
        found.append(Paid(line, load_answers(conn, line_id)))
        back = conn.execute(
            "SELECT journal_id FROM journals WHERE reverses_id = %s", (line.journal_id,)
        ).fetchone()
        later = [other.line_id for other in lines if back and other.journal_id > back[0]]
        line_id = later[0] if later else None
    return found
