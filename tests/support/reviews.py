"""Views that are stored and booked, for people to review."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pyarrow as pa
from support.blocks import START, block
from support.ledger import campaign

from schemas.block import ACCEPTED
from schemas.catalogue import Promoter
from schemas.fencing import Position, Progress, Stamp
from schemas.settings import Settings
from schemas.verdicts import Reason, Verdict
from sinks import clickhouse, postgres
from sinks.book import book
from sinks.catalogue import save_campaigns, save_promoters
from sinks.clickhouse import Client
from sinks.correct_follow import follow
from sinks.judging import judging
from sinks.postgres import Connection
from sinks.review_decide import Decision, decide
from sinks.review_find import find_events
from sinks.review_record import Decided, Review
from sinks.store import insert_block

RATE = 1_000
REACH = timedelta(hours=49)
"""Of the settings that are the default."""
_REASONS = {
    Verdict.HELD: Reason.VELOCITY_UNAVAILABLE.bit,
    Verdict.INVALID: Reason.MODEL_SCORE.bit,
    Verdict.UNQUALIFIED: Reason.BELOW_MIN_WATCH.bit,
}


@contextmanager
def both(store: Settings) -> Iterator[tuple[Connection, Client]]:
    """Connections to the ledger and to ClickHouse."""
    with (
        postgres.connect(store) as conn,
        clickhouse.connect(store.url("clickhouse"), settings={"mutations_sync": 2}) as client,
    ):
        yield conn, client


def stored_views(
    conn: Connection,
    client: Client,
    verdicts: Sequence[Verdict],
    partition: int = 0,
    budget: int = 10**9,
    **columns: Sequence[Any],
) -> list[str]:
    """A block of views with these verdicts, stored and booked, each of another viewer and post.

    Args:
        columns: of `ACCEPTED`, to be other than that.

    Returns:
        their event ids.
    """
    rows = len(verdicts)
    names = [f"{partition}-{n:08}" for n in range(rows)]
    mine = f"campaign-{partition}"
    save_campaigns(conn, [campaign(budget, campaign_id=mine, hold_hours=0)])
    save_promoters(conn, [Promoter(promoter_id=f"promoter-{partition}", status="active")])
    given = {
        "event_id": [f"event-{one}" for one in names],
        "viewer_id": [f"viewer-{one}" for one in names],
        "post_id": [f"post-{one}" for one in names],
        "campaign_id": [mine] * rows,
        "promoter_id": [f"promoter-{partition}"] * rows,
        "currency": ["EUR"] * rows,
        "rate_micros": [RATE] * rows,
        "verdict": list(map(int, verdicts)),
        "reasons": [_REASONS.get(one, 0) for one in verdicts],
    } | columns
    made = block(0, rows, partition=partition)
    accepted = made.accepted
    for name, values in given.items():
        place, kind = accepted.column_names.index(name), ACCEPTED.field(name).type
        accepted = accepted.set_column(place, ACCEPTED.field(name), pa.array(values, kind))
    stamp = Stamp("block", "w", 1, 0, rows)
    insert_block(client, partition, 0, START, stamp, made._replace(accepted=accepted))
    book(conn, partition, Progress(), Progress(Position(1, "w", rows), 1), [accepted])
    found: list[str] = accepted["event_id"].to_pylist()
    return found


def decided(
    conn: Connection,
    client: Client,
    event_ids: Sequence[str],
    verdict: Decided,
    by: str = "rita",
    reach: timedelta = REACH,
) -> dict[str, Decision]:
    """Decides views as `pipeline.review` does, without a topic."""
    with judging(conn):
        follow(conn, client, lambda rows: None)
        subjects = find_events(client, event_ids)
        found = decide(conn, client, subjects, Review(verdict, by, "asked them"), reach)
        follow(conn, client, lambda rows: None)
    return {one.event_id: one for one in found}


def ends(client: Client) -> dict[int, tuple[int, int]]:
    """Ranges of views.raw, if it were no longer than what is stored."""
    rows = client.query("SELECT partition, max(raw_next) FROM blocks GROUP BY partition")
    return {partition: (0, end) for partition, end in rows.result_rows}
