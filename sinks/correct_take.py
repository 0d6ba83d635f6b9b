"""Takes back what views cost that turn out not to be valid."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sinks.correct import take_back
from sinks.correct_types import Change, Effect
from sinks.postgres import Connection


def take_losses(
    conn: Connection,
    losses: Sequence[Change],
    accruals: Mapping[Change, int],
    actor: str,
    note: str,
) -> dict[Change, Effect]:
    """Takes views back from their accruals, within the caller's transaction.

    The views of an accrual cost the same, so what its budget did not cover goes first: with one
    view less, the money is for one of the others. What was taken back by number, without saying
    which views, is not taken once more.

    Args:
        losses: in the order of the log.
        accruals: of each of them.
    """
    by_accrual: dict[int, list[Change]] = defaultdict(list)
    for one in losses:
        by_accrual[accruals[one]].append(one)
    left = _left(conn, list(by_accrual))
    effects = {}
    for accrual_id in sorted(by_accrual):
        rows = by_accrual[accrual_id]
        paid_left, capped_left = left[accrual_id]
        capped = min(len(rows), capped_left)
        paid = min(len(rows) - capped, paid_left)
        correction = None
        if paid:
            first = rows[0]
            key = f"views:{accrual_id}:{first.partition}:{first.raw_offset}:{paid_left}"
            done = take_back(conn, accrual_id, paid, reason=note, actor=actor, key=key)
            correction = done.correction_id
        for place, one in enumerate(rows):
            if place < paid:
                effects[one] = Effect(-one.rate_micros, 0, accrual_id, correction)
            elif place < paid + capped:
                effects[one] = Effect(0, -one.rate_micros, accrual_id, None)
            else:
                effects[one] = Effect(0, 0, accrual_id, None)
    return effects


def _left(conn: Connection, accrual_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Paid and capped views of accruals that were not taken back."""
    rows = conn.execute(
        """
        SELECT accrual_id,
            views - coalesce((SELECT sum(corrections.views) FROM corrections
                WHERE corrections.accrual_id = accruals.accrual_id), 0)::bigint,
            capped_views - (SELECT count(*) FROM view_corrections
                WHERE view_corrections.accrual_id = accruals.accrual_id AND capped_micros < 0)
        FROM accruals WHERE accrual_id = ANY (%s)
        """,
        (list(accrual_ids),),
    )
    return {accrual_id: (paid, capped) for accrual_id, paid, capped in rows}
