"""Corrects views one by one: what settlement or a review judges otherwise than `score` did.

The transaction here is the truth: money, the rows of `view_corrections` and how far views were
judged again are in it together. The topic and ClickHouse follow it by id. The argument is in
`docs/exactly-once.md`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from schemas.verdicts import Verdict
from sinks.correct_book import book_gains
from sinks.correct_find import already, find_accruals
from sinks.correct_take import take_losses
from sinks.correct_types import Change, Effect
from sinks.postgres import Connection, retry_conflicts
from sinks.settle import SettleError, lock_payouts


class Source(NamedTuple):
    """By whom or what views are corrected."""

    why: Literal["hindsight", "review"]
    actor: str
    note: str
    model_version: str
    policy_version: str
    lists_version: str
    rules_version: str


Stretch = tuple[datetime | None, datetime]
"""Log times that are judged again: from where it was done before, until where it is done now."""


@retry_conflicts
def correct_views(
    conn: Connection,
    changes: Sequence[Change],
    source: Source,
    judged: Stretch | None = None,
) -> int:
    """Corrects views in one transaction; returns how many were.

    What the source has corrected before is left as it is, and so is what a person decided.

    Args:
        conn: a connection that is in no transaction.
        changes: in the order of the log, each view once.
        judged: the stretch of the log that these changes are all of.

    Raises:
        SettleError: somebody else judged the stretch meanwhile; a view that is to be taken back
            is not booked yet; a review means another verdict than the view has by now.
    """
    with conn.transaction():
        lock_payouts(conn)
        if judged is not None:
            _move(conn, judged)
        return correct_within(conn, changes, source)


def correct_within(conn: Connection, changes: Sequence[Change], source: Source) -> int:
    """As `correct_views`, within the caller's transaction, which holds `lock_payouts`."""
    left = already(conn, changes, source.why)
    losses = [one for one in left if one.was == Verdict.VALID]
    gains = [one for one in left if one.became == Verdict.VALID]
    effects = take_losses(conn, losses, find_accruals(conn, losses), source.actor, source.note)
    effects |= book_gains(conn, gains)
    _record(conn, left, effects, source)
    return len(left)


def judged_until(conn: Connection) -> datetime | None:
    """Up to which log time views were judged again."""
    row = conn.execute("SELECT until FROM judged_again").fetchone()
    return row[0] if row else None


def _move(conn: Connection, judged: Stretch) -> None:
    if judged_until(conn) != judged[0]:  # under the lock, so nobody moves it meanwhile
        raise SettleError("somebody else judges views again at the same time: run it again")
    conn.execute(
        "INSERT INTO judged_again (until) VALUES (%s)"
        " ON CONFLICT (only_row) DO UPDATE SET until = excluded.until, updated_at = now()",
        (judged[1],),
    )


def _record(
    conn: Connection, changes: Sequence[Change], effects: Mapping[Change, Effect], source: Source
) -> None:
    if not changes:
        return
    rows = [
        (
            *one[:4],
            one.log_time / 1e3,
            *one[5:9],
            one.was.name.lower(),
            one.was_reasons,
            one.became.name.lower(),
            one.became_reasons,
            *effects.get(one, Effect(0, 0, None, None)),
            one.note or source.note,
        )
        for one in changes
    ]
    conn.execute(
        """
        INSERT INTO view_corrections (
            partition, raw_offset, scored_offset, event_id, log_time, campaign_id, promoter_id,
            currency, rate_micros, was, was_reasons, became, became_reasons, paid_micros,
            capped_micros, accrual_id, correction_id, note, why, actor, model_version,
            policy_version, lists_version, rules_version)
        SELECT partition, raw_offset, scored_offset, event_id, to_timestamp(log_time),
            campaign_id, promoter_id, currency, rate_micros, was, was_reasons, became,
            became_reasons, paid, capped, accrual_id, correction_id, note, %s, %s, %s, %s, %s, %s
        FROM unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::text[], %s::numeric[],
            %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::bigint[],
            %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
            %s::text[])
            WITH ORDINALITY AS rows (partition, raw_offset, scored_offset, event_id, log_time,
            campaign_id, promoter_id, currency, rate_micros, was, was_reasons, became,
            became_reasons, paid, capped, accrual_id, correction_id, note, place)
        ORDER BY place
        """,
        (
            source.why,
            source.actor,
            *source[3:],
            *(list(column) for column in zip(*rows, strict=True)),
        ),
    )
