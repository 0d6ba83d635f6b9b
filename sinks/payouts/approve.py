"""Approving by a second person, and cancelling."""

from sinks.chain import seal
from sinks.payouts.batch import Batch, Line, PayoutError, act_as, load_batch, move_lines
from sinks.payouts.money import give_back
from sinks.postgres import Connection, retry_conflicts
from sinks.settle import lock_payouts

_SHOWN = 10


@retry_conflicts
def approve(conn: Connection, batch_id: int, *, actor: str) -> Batch:
    """Freezes the amounts, and checks the payees once more; the same person may repeat it.

    Seals the chain first: the batch keeps its newest hash.

    Raises:
        PayoutError: the actor drafted it, it is not a draft, or payees have to be looked at.
    """
    seal(conn)
    with conn.transaction():
        lock_payouts(conn)
        act_as(conn, actor)
        batch = load_batch(conn, batch_id, lock=True)
        if batch.status != "draft":
            if (
                batch.status in ("approved", "exported", "closed")
                and batch.approved_by == actor.strip()
            ):
                return batch
            raise PayoutError(
                f"batch {batch_id} is {batch.status}"
                + (f", approved by {batch.approved_by}" if batch.approved_by else "")
            )
        # The database refuses it as well (constraint four_eyes): this is the message.
        if actor.strip().lower() == batch.drafted_by.strip().lower():
            raise PayoutError(f"{actor} drafted batch {batch_id}: somebody else has to approve it")
        lines = [line for line in batch.lines if line.status == "drafted"]
        if not lines:
            raise PayoutError(f"batch {batch_id} has no lines left: cancel it")
        check_payees(conn, batch, lines)
        move_lines(conn, [line.line_id for line in lines], "approved")
        conn.execute(
            "UPDATE payout_batches SET status = 'approved', approved_by = %s, approved_at = now(),"
            " chain_head = (SELECT hash FROM chain_links ORDER BY link_id DESC LIMIT 1)"
            " WHERE batch_id = %s",
            (actor.strip(), batch_id),
        )
        return load_batch(conn, batch_id)


def check_payees(conn: Connection, batch: Batch, lines: list[Line]) -> None:
    """Refuses when what was checked of a payee is not what is there now.

    Nobody changes these payees until the transaction ends: the accounts that go into a file are
    read after this.

    Raises:
        PayoutError: says which lines, and why.
    """
    rows = conn.execute(
        """
        SELECT line_id, promoter_id,
            CASE WHEN promoters.status <> 'active' THEN 'the promoter is suspended'
                WHEN payees.version <> line.payee_version THEN 'the payee was edited since'
                WHEN payees.verified_at IS NULL THEN 'the payee is not verified'
                WHEN payees.currency <> %s THEN 'the payee wants ' || payees.currency
            END AS refusal
        FROM payout_lines AS line
        JOIN promoters USING (promoter_id)
        JOIN payees USING (promoter_id)
        WHERE line_id = ANY (%s) ORDER BY line_id FOR SHARE OF payees
        """,
        (batch.currency, [line.line_id for line in lines]),
    )
    refused = [f"line {line} ({promoter}): {why}" for line, promoter, why in rows if why]
    if refused:
        shown = refused[:_SHOWN]
        if len(refused) > _SHOWN:
            shown.append(f"… and {len(refused) - _SHOWN} more")
        raise PayoutError(
            f"batch {batch.batch_id}: look at these payees; `viewledger payouts cancel "
            f"{batch.batch_id} --line N` gives the money of a line back to payable, for the next "
            "batch\n  " + "\n  ".join(shown)
        )


@retry_conflicts
def cancel(
    conn: Connection, batch_id: int, line_id: int | None = None, *, actor: str, reason: str
) -> Batch:
    """Cancels a batch or a line of it that is not exported: its money is payable again.

    Raises:
        PayoutError: it is exported, or there is no such line.
    """
    with conn.transaction():
        lock_payouts(conn)
        act_as(conn, actor)
        batch = load_batch(conn, batch_id, lock=True)
        lines = [line for line in batch.lines if line_id in (None, line.line_id)]
        if line_id is not None and not lines:
            raise PayoutError(f"batch {batch_id} has no line {line_id}")
        if batch.status not in ("draft", "approved"):
            if all(line.status == "cancelled" for line in lines):
                return batch
            raise PayoutError(
                f"batch {batch_id} is {batch.status}: the bank may have the file; "
                "its answer decides (`viewledger payouts import`)"
            )
        stopped = [line for line in lines if line.status != "cancelled"]
        give_back(conn, stopped, reason)
        move_lines(conn, [line.line_id for line in stopped], "cancelled", "", reason)
        others = [line for line in batch.lines if line not in lines and line.status != "cancelled"]
        if not others:
            conn.execute(
                "UPDATE payout_batches SET status = 'cancelled' WHERE batch_id = %s", (batch_id,)
            )
        return load_batch(conn, batch_id)
