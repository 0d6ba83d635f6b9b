"""Drafting: what is payable becomes the lines of a batch, and leaves the payable accounts."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from psycopg import Rollback

from schemas.money import to_micros, to_minor
from sinks.ledger import PLATFORM, Entry, Journal, lock_balances, open_accounts, post
from sinks.payouts.batch import Batch, PayoutError, act_as, load_batch
from sinks.postgres import Connection, retry_conflicts
from sinks.settle import lock_payouts

_WITHHOLDING_PERCENT = 24
"""Backup withholding, Internal Revenue Code §3406."""


class Left(NamedTuple):
    """Money that stays payable, and why."""

    promoter_id: str
    micros: int
    why: str


class Draft(NamedTuple):
    """Outcome of drafting."""

    batch: Batch | None
    """None where nothing is to be paid."""
    left: list[Left]


class _Due(NamedTuple):
    promoter_id: str
    payable_micros: int
    """What of the balance was there at `until`, and is not owed."""
    netted_micros: int
    payee_version: int | None
    refusal: str
    withholding: bool

    @property
    def payable(self) -> bool:
        return not self.refusal


@retry_conflicts
def draft(
    conn: Connection,
    currency: str,
    until: datetime | None,
    min_micros: int,
    *,
    actor: str,
    key: str,
) -> Draft:
    """Drafts a batch in one transaction; amounts are rounded down, the rest stays payable.

    Args:
        conn: a connection that is in no transaction.
        until: what became payable later is left for the next batch; None for now.
        min_micros: least amount that is paid.
        key: the same key again returns the batch that was drafted.

    Raises:
        PayoutError: the key was used for something else, or `until` is in the future.
    """
    with conn.transaction() as work:
        lock_payouts(conn)
        act_as(conn, actor)
        known = conn.execute(
            "SELECT batch_id, currency, min_micros FROM payout_batches WHERE idempotency_key = %s",
            (key,),
        ).fetchone()
        if known is not None:
            if known[1:] != (currency, min_micros):
                raise PayoutError(f"the key {key!r} was used for another batch: take a new one")
            return Draft(load_batch(conn, known[0]), [])
        (now,) = conn.execute("SELECT now()").fetchall()[0]
        if until is not None and until > now:
            raise PayoutError(f"--until {until.isoformat()} is in the future")
        netted = _net_debts(conn, currency, key)
        due = _due(conn, currency, until or now, netted)
        lines = []
        left = []
        for one in due:
            gross = to_micros(to_minor(one.payable_micros, currency), currency)
            if one.refusal:
                left.append(Left(one.promoter_id, one.payable_micros, one.refusal))
            elif gross < min_micros or gross <= 0:
                left.append(Left(one.promoter_id, one.payable_micros, "below the minimum"))
            else:
                lines.append((one, gross))
        if lines:
            return Draft(_save(conn, currency, until or now, min_micros, actor, key, lines), left)
        # Nothing is netted either: without a batch, the key has not been used.
        raise Rollback(work)
    return Draft(None, left)


def _net_debts(conn: Connection, currency: str, key: str) -> dict[str, int]:
    """Takes what promoters owe from what is payable to them; returns micros by promoter."""
    rows = conn.execute(
        """
        SELECT debts.owner_id, debts.account_id, payables.account_id,
            least(-owed.balance_micros, payable.balance_micros)
        FROM accounts AS debts
        JOIN balances AS owed ON owed.account_id = debts.account_id
        JOIN accounts AS payables ON payables.kind = 'promoter_payable'
            AND payables.owner_id = debts.owner_id AND payables.currency = debts.currency
        JOIN balances AS payable ON payable.account_id = payables.account_id
        WHERE debts.kind = 'promoter_debt' AND debts.currency = %s
            AND owed.balance_micros < 0 AND payable.balance_micros > 0
        ORDER BY debts.owner_id
        """,
        (currency,),
    ).fetchall()
    post(
        conn,
        [
            Journal(
                "netting",
                f"netting:{key}:{promoter}",
                f"what {promoter} was paid too much is kept back",
                (Entry(payable, -micros), Entry(debt, micros)),
            )
            for promoter, debt, payable, micros in rows
        ],
    )
    return {promoter: micros for promoter, _, _, micros in rows}


def _due(conn: Connection, currency: str, until: datetime, netted: Mapping[str, int]) -> list[_Due]:
    """Every promoter with something payable at `until`."""
    rows = conn.execute(
        """
        WITH later AS (
            SELECT account_id, sum(amount_micros)::bigint AS micros
            FROM journals JOIN entries USING (journal_id, created_at)
            JOIN accounts USING (account_id)
            WHERE journals.created_at > %(until)s AND journals.kind = 'settlement'
                AND accounts.kind = 'promoter_payable' AND currency = %(currency)s
            GROUP BY account_id)
        SELECT accounts.owner_id, balance_micros - coalesce(later.micros, 0), payees.version,
            CASE WHEN promoters.status <> 'active' THEN 'the promoter is suspended'
                WHEN payees.promoter_id IS NULL THEN 'no payee'
                WHEN payees.verified_at IS NULL THEN 'the payee is not verified'
                WHEN payees.currency <> %(currency)s THEN 'the payee wants ' || payees.currency
                ELSE '' END,
            coalesce(payees.backup_withholding, false)
        FROM accounts
        JOIN balances USING (account_id)
        JOIN promoters ON promoters.promoter_id = accounts.owner_id
        LEFT JOIN payees ON payees.promoter_id = accounts.owner_id
        LEFT JOIN later USING (account_id)
        WHERE accounts.kind = 'promoter_payable' AND accounts.currency = %(currency)s
            AND balance_micros - coalesce(later.micros, 0) > 0
        ORDER BY accounts.owner_id
        """,
        {"until": until, "currency": currency},
    ).fetchall()
    return [
        _Due(promoter, payable, netted.get(promoter, 0), *payee)
        for promoter, payable, *payee in rows
    ]


def _save(
    conn: Connection,
    currency: str,
    until: datetime,
    min_micros: int,
    actor: str,
    key: str,
    lines: list[tuple[_Due, int]],
) -> Batch:
    (batch_id,) = conn.execute(
        "INSERT INTO payout_batches (idempotency_key, currency, until, min_micros, drafted_by)"
        " VALUES (%s, %s, %s, %s, %s) RETURNING batch_id",
        (key, currency, until, min_micros, actor.strip()),
    ).fetchall()[0]
    owners = [(one.promoter_id, currency) for one, _ in lines]
    payable = open_accounts(conn, "promoter_payable", owners)
    clearing = open_accounts(conn, "payout_clearing", owners)
    tax = open_accounts(conn, "tax_withheld", [(PLATFORM, currency)])[PLATFORM, currency]
    lock_balances(conn, [*payable.values(), *clearing.values(), tax])
    withheld = [_withheld(gross, currency) if one.withholding else 0 for one, gross in lines]
    journals = [
        Journal(
            "payout",
            f"payout:{batch_id}:{one.promoter_id}",
            f"batch {batch_id}: payout to {one.promoter_id}",
            (
                Entry(payable[owner], -gross),
                Entry(clearing[owner], gross - tax_micros),
                *([Entry(tax, tax_micros)] if tax_micros else []),
            ),
        )
        for (one, gross), owner, tax_micros in zip(lines, owners, withheld, strict=True)
    ]
    ids = post(conn, journals)
    conn.execute(
        """
        INSERT INTO payout_lines (batch_id, promoter_id, gross_micros, withheld_micros,
            amount_micros, amount_minor, netted_micros, payee_version, payout_journal_id)
        SELECT %s, * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[],
            %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
        """,
        (
            batch_id,
            [one.promoter_id for one, _ in lines],
            [gross for _, gross in lines],
            withheld,
            [gross - tax_micros for (_, gross), tax_micros in zip(lines, withheld, strict=True)],
            [
                to_minor(gross - tax_micros, currency)
                for (_, gross), tax_micros in zip(lines, withheld, strict=True)
            ],
            [one.netted_micros for one, _ in lines],
            [one.payee_version for one, _ in lines],
            ids,
        ),
    )
    return load_batch(conn, batch_id)


def _withheld(gross_micros: int, currency: str) -> int:
    """Whole minor units, half up."""
    minor = to_minor(gross_micros, currency)
    return to_micros((minor * _WITHHOLDING_PERCENT + 50) // 100, currency)
