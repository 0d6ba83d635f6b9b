"""What the ledger knows of views that are to be corrected."""

from collections.abc import Sequence

from schemas.verdicts import Verdict
from sinks.correct_types import Change
from sinks.postgres import Connection
from sinks.settle import SettleError


def already(conn: Connection, changes: Sequence[Change], why: str) -> list[Change]:
    """The changes that are left to do.

    Hindsight leaves alone what was corrected before by whomever, or upheld by a person; a review
    what was reviewed.

    Raises:
        SettleError: a review means another verdict than the view has by now.
    """
    rows = conn.execute(
        """
        SELECT partition, raw_offset, became, why
        FROM (SELECT partition, raw_offset, became, why FROM view_corrections
              UNION ALL SELECT partition, raw_offset, became, 'review' FROM view_reviews) AS known
        JOIN unnest(%s::integer[], %s::bigint[])
            AS asked (partition, raw_offset) USING (partition, raw_offset)
        ORDER BY why  -- hindsight before review
        """,
        ([one.partition for one in changes], [one.raw_offset for one in changes]),
    )
    known = {(partition, offset): (became, by) for partition, offset, became, by in rows}
    left = []
    for one in changes:
        became, by = known.get((one.partition, one.raw_offset), ("", ""))
        if by == "review" or (by and why == "hindsight"):
            continue
        if by and became != one.was.name.lower():
            raise SettleError(
                f"event {one.event_id} is {became} by now and not {one.was.name.lower()}: "
                "look again"
            )
        left.append(one)
    return left


def find_accruals(conn: Connection, valid: Sequence[Change]) -> dict[Change, int]:
    """The accrual that counts each of these valid views.

    Raises:
        SettleError: one is not booked yet.
    """
    rows = conn.execute(
        """
        SELECT place, coalesce(
            (SELECT accrual_id FROM view_corrections AS earlier
             WHERE earlier.partition = asked.partition AND earlier.raw_offset = asked.raw_offset
                 AND became = 'valid'),
            (SELECT accrual_id FROM accruals
             WHERE accruals.partition = asked.partition AND scored_from <= asked.scored_offset
                 AND scored_next > asked.scored_offset AND campaign_id = asked.campaign
                 AND promoter_id = asked.promoter AND accruals.currency = asked.currency
                 AND rate_micros = asked.rate
                 AND log_hour = date_trunc('hour', to_timestamp(asked.log_time), 'UTC')))
        FROM unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::numeric[], %s::text[],
            %s::text[], %s::text[], %s::bigint[]) WITH ORDINALITY
            AS asked (partition, raw_offset, scored_offset, log_time, campaign, promoter,
                currency, rate, place)
        ORDER BY place
        """,
        (
            [one.partition for one in valid],
            [one.raw_offset for one in valid],
            [one.scored_offset for one in valid],
            [one.log_time / 1e3 for one in valid],
            [one.campaign_id for one in valid],
            [one.promoter_id for one in valid],
            [one.currency for one in valid],
            [one.rate_micros for one in valid],
        ),
    ).fetchall()
    found = {}
    for one, (_, accrual_id) in zip(valid, rows, strict=True):
        assert one.was == Verdict.VALID
        if accrual_id is None:
            raise SettleError(
                f"event {one.event_id} is valid and no accrual counts it: run `viewledger drain`, "
                "and if that does not help, `viewledger reconcile`"
            )
        found[one] = accrual_id
    return found
