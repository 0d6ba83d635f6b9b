"""Views that are booked one by one, to be corrected."""

from typing import Any

from support.ledger import HOUR_MS, View, after, new_partition, table

from schemas.fencing import Progress
from schemas.verdicts import Verdict
from sinks.book import book
from sinks.correct_types import Change
from sinks.correct_views import Source
from sinks.postgres import Connection

START = 1_760_000_000_000
HINDSIGHT = Source("hindsight", "settlement", "looked again", "m", "p", "l", "r")
REVIEW = Source("review", "rita", "asked them", "", "", "", "")


def booked(
    conn: Connection, campaign_id: str, verdicts: list[Verdict], promoter_id: str = "p"
) -> list[Change]:
    """Views of one block, booked where they are valid; each as a change that keeps its verdict."""
    partition = new_partition()
    views = [
        View(campaign_id, promoter_id, log_time=START + n * 60_000, verdict=int(verdict))
        for n, verdict in enumerate(verdicts)
    ]
    book(conn, partition, Progress(), after(Progress()), [table(views)])
    return [
        Change(partition, n, 0, f"event-{partition}-{n:09}", view.log_time, campaign_id,
               promoter_id, "EUR", 1000, verdict, 0, verdict, 0)
        for n, (view, verdict) in enumerate(zip(views, verdicts, strict=True))
    ]  # fmt: skip


def to(change: Change, became: Verdict, was: Verdict | None = None) -> Change:
    """The view becomes this; from what it was by then."""
    return change._replace(became=became, was=change.was if was is None else was)


def rows(conn: Connection, change: Change) -> list[Any]:
    """What the ledger has of a view."""
    return conn.execute(
        "SELECT why, was, became, paid_micros, capped_micros FROM view_corrections"
        " WHERE partition = %s AND raw_offset = %s ORDER BY view_correction_id",
        change[:2],
    ).fetchall()


__all__ = ["HINDSIGHT", "HOUR_MS", "REVIEW", "START", "booked", "rows", "to"]
