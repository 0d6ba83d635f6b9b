"""What a statement says of payments: settlements, nettings and the lines of payout batches."""

from datetime import datetime

import msgspec

from sinks.payouts.batch import LineStatus
from sinks.postgres import Connection
from sinks.statement_accounts import Accounts, Period


class Settlement(msgspec.Struct, frozen=True):
    """What passed its hold at one time."""

    currency: str
    journal_id: int
    at: datetime
    accruals: int
    net_micros: int


class Netting(msgspec.Struct, frozen=True):
    """What was kept back of what was payable, for what had been paid too much."""

    currency: str
    journal_id: int
    at: datetime
    micros: int


class Payout(msgspec.Struct, frozen=True):
    """A line of a batch that was drafted in the period, or whose money moved in it."""

    currency: str
    line_id: int
    batch_id: int
    gross_micros: int
    withheld_micros: int
    """Tax, of the gross amount."""
    amount_micros: int
    """What is transferred."""
    status: LineStatus
    """At the end of the period, as are code and reason."""
    code: str
    reason: str
    drafted_at: datetime
    settled_at: datetime | None
    """These three: None where it had not happened by the end of the period."""
    returned_at: datetime | None
    """By the bank, after it had been settled."""
    given_back_at: datetime | None
    """Payable again."""


_SETTLEMENTS = """
    SELECT currency, journal_id, entries.created_at, count(*), sum(net_micros)::bigint
    FROM accounts
    JOIN entries USING (account_id)
    JOIN journals USING (journal_id)
    JOIN settled_accruals USING (journal_id)
    WHERE accounts.kind = 'promoter_payable' AND owner_id = %(promoter)s
        AND entries.created_at >= %(from)s AND entries.created_at < %(to)s
        AND journals.kind = 'settlement'
    GROUP BY currency, journal_id, entries.created_at ORDER BY journal_id
"""
_NETTINGS = """
    SELECT currency, journal_id, entries.created_at, amount_micros
    FROM accounts
    JOIN entries USING (account_id)
    JOIN journals USING (journal_id)
    WHERE accounts.kind = 'promoter_debt' AND owner_id = %(promoter)s
        AND entries.created_at >= %(from)s AND entries.created_at < %(to)s
        AND journals.kind = 'netting'
    ORDER BY journal_id
"""
_PAYOUTS = """
    SELECT currency, line_id, batch_id, gross_micros, withheld_micros, amount_micros,
        last.became, last.code, last.reason, drafted.created_at,
        CASE WHEN settled.created_at < %(to)s THEN settled.created_at END,
        CASE WHEN returned.created_at < %(to)s THEN returned.created_at END,
        CASE WHEN given_back.created_at < %(to)s THEN given_back.created_at END
    FROM payout_lines AS line
    JOIN payout_batches USING (batch_id)
    JOIN journals AS drafted ON drafted.journal_id = payout_journal_id
    LEFT JOIN journals AS settled ON settled.idempotency_key = 'payout_settled:' || line_id
    LEFT JOIN journals AS returned ON returned.reverses_id = settled.journal_id
    LEFT JOIN journals AS given_back ON given_back.reverses_id = payout_journal_id
    CROSS JOIN LATERAL (
        SELECT became, code, reason FROM payout_events
        WHERE payout_events.batch_id = line.batch_id AND payout_events.line_id = line.line_id
            AND at < %(to)s
        ORDER BY event_id DESC LIMIT 1) AS last
    WHERE promoter_id = %(promoter)s AND EXISTS (
        SELECT FROM unnest(ARRAY[drafted.created_at, settled.created_at, returned.created_at,
            given_back.created_at]) AS at
        WHERE at >= %(from)s AND at < %(to)s)
    ORDER BY line_id
"""


def load_settlements(conn: Connection, period: Period) -> list[Settlement]:
    """In order."""
    return [Settlement(*row) for row in conn.execute(_SETTLEMENTS, period)]


def load_nettings(conn: Connection, period: Period) -> list[Netting]:
    """In order."""
    return [Netting(*row) for row in conn.execute(_NETTINGS, period)]


def load_payouts(conn: Connection, period: Period) -> list[Payout]:
    """In order."""
    return [Payout(*row) for row in conn.execute(_PAYOUTS, period)]


def payout_movements(payouts: list[Payout], since: datetime) -> list[tuple[str, Accounts]]:
    """What those payouts did to the accounts from `since` on."""

    def total(what: str, when: str) -> int:
        return sum(
            getattr(one, what)
            for one in payouts
            if (at := getattr(one, when)) is not None and at >= since
        )

    amount = {
        when: total("amount_micros", when)
        for when in ("drafted_at", "settled_at", "returned_at", "given_back_at")
    }
    withheld = total("withheld_micros", "drafted_at")
    withheld_back = total("withheld_micros", "given_back_at")
    return [
        ("drafted for payout", Accounts(0, -amount["drafted_at"], 0, amount["drafted_at"])),
        ("tax withheld", Accounts(0, -withheld)),
        ("paid by the bank", Accounts(0, 0, 0, -amount["settled_at"])),
        ("returned by the bank", Accounts(0, 0, 0, amount["returned_at"])),
        (
            "payouts given back",
            Accounts(0, amount["given_back_at"], 0, -amount["given_back_at"]),
        ),
        ("withheld tax given back", Accounts(0, withheld_back)),
    ]
