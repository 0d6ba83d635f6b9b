"""Reviews in the ledger: each in one transaction with the correction that it makes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from schemas.verdicts import Verdict
from sinks.correct_types import Change
from sinks.correct_views import Source, correct_within
from sinks.postgres import Connection, retry_conflicts
from sinks.review_find import Held, Subject
from sinks.settle import lock_payouts

Decided = Literal["valid", "invalid"]


class Review(NamedTuple):
    """Who decides what, and why."""

    decided: Decided
    """`valid`: a person watched. `invalid`: a bot."""
    actor: str
    note: str


class Earlier(NamedTuple):
    """A decision of before."""

    decided: str
    became: str
    actor: str
    note: str
    decided_at: datetime


class Becomes(NamedTuple):
    """What a view is after it was decided."""

    verdict: Verdict
    reasons: int


@retry_conflicts
def record(
    conn: Connection,
    subjects: Sequence[Subject],
    becomes: Mapping[Subject, Becomes],
    review: Review,
) -> None:
    """Corrects what changes and writes down all of it, in one transaction.

    Args:
        conn: a connection that is in no transaction.
        subjects: that were not reviewed, in the order of the log.

    Raises:
        SettleError: a view that is to be taken back is not booked yet.
    """
    if not subjects:
        return
    changes = [
        Change(*one[:9], one.verdict, one.reasons, *becomes[one])
        for one in subjects
        if becomes[one][0] != one.verdict
    ]
    rows = [
        (*one[:2], one.event_id, one.log_time / 1e3, *one[5:9], one.verdict.name.lower(),
         becomes[one][0].name.lower())
        for one in subjects
    ]  # fmt: skip
    with conn.transaction():
        lock_payouts(conn)
        correct_within(conn, changes, Source("review", review.actor, review.note, "", "", "", ""))
        conn.execute(
            """
            INSERT INTO view_reviews (partition, raw_offset, event_id, log_time, campaign_id,
                promoter_id, currency, rate_micros, was, became, decided, actor, note,
                view_correction_id)
            SELECT partition, raw_offset, rows.event_id, to_timestamp(rows.log_time),
                rows.campaign_id, rows.promoter_id, rows.currency, rows.rate_micros, rows.was,
                rows.became, %s, %s, %s, view_correction_id
            FROM unnest(%s::integer[], %s::bigint[], %s::text[], %s::numeric[], %s::text[],
                %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[]) WITH ORDINALITY
                AS rows (partition, raw_offset, event_id, log_time, campaign_id, promoter_id,
                currency, rate_micros, was, became, place)
            LEFT JOIN (SELECT view_correction_id, partition, raw_offset FROM view_corrections
                       WHERE why = 'review') AS made USING (partition, raw_offset)
            ORDER BY place
            """,
            (*review, *(list(column) for column in zip(*rows, strict=True))),
        )


def earlier(conn: Connection, subjects: Sequence[Subject]) -> dict[tuple[int, ...], Earlier]:
    """What was decided before, by partition and offset."""
    rows = conn.execute(
        "SELECT partition, raw_offset, decided, became, actor, note, decided_at FROM view_reviews"
        " JOIN unnest(%s::integer[], %s::bigint[]) AS asked (partition, raw_offset)"
        " USING (partition, raw_offset)",
        _places(subjects),
    )
    return {tuple(row[:2]): Earlier(*row[2:]) for row in rows}


def corrections_of(
    conn: Connection, subjects: Sequence[Subject]
) -> dict[tuple[int, ...], tuple[int, int, int]]:
    """Number and money of the corrections that reviews made, by partition and offset."""
    rows = conn.execute(
        "SELECT partition, raw_offset, view_correction_id, paid_micros, capped_micros"
        " FROM view_corrections JOIN unnest(%s::integer[], %s::bigint[])"
        " AS asked (partition, raw_offset) USING (partition, raw_offset) WHERE why = 'review'",
        _places(subjects),
    )
    return {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}


def decided_before(conn: Connection, held: Held) -> dict[tuple[str, str], int]:
    """How many views of a promoter were decided how and by whom, the most first."""
    rows = conn.execute(
        "SELECT decided, actor, count(*) FROM view_reviews WHERE promoter_id = %s"
        " AND campaign_id = coalesce(%s, campaign_id) AND log_time >= %s AND log_time < %s"
        " GROUP BY decided, actor ORDER BY count(*) DESC, decided, actor",
        held,
    )
    return {(decided, actor): views for decided, actor, views in rows}


def _places(subjects: Sequence[Subject]) -> tuple[list[int], list[int]]:
    return [one.partition for one in subjects], [one.raw_offset for one in subjects]
