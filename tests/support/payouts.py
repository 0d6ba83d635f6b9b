"""Promoters with earnings, for tests of settlement and payouts."""

from datetime import date

from support.ledger import View, after, campaign, new_partition, table
from support.payees import IBAN, payee

from schemas.catalogue import Promoter
from schemas.fencing import Progress
from schemas.payout import Address, Iban, Payer
from schemas.seal_keys import Keys
from sinks.book import book
from sinks.catalogue import save_campaigns, save_promoters
from sinks.payees import save_payees, verify_payee
from sinks.postgres import Connection

PAYER = Payer(
    name="Viewledger Ltd",
    address=Address(town="Berlin", country="DE", street="Unter den Linden", building="5"),
    details=Iban("DE75512108001245126199", "SOGEDEFF"),
)
TODAY = date(2026, 11, 23)


def new_campaign(conn: Connection, currency: str = "EUR", **fields: object) -> str:
    """A campaign with much money and no hold."""
    mine = campaign(10**15, currency=currency, **({"hold_hours": 0} | fields))
    save_campaigns(conn, [mine])
    return mine.campaign_id


def new_promoter(conn: Connection, keys: Keys, currency: str = "EUR", **fields: object) -> str:
    """An active promoter with a verified payee."""
    one = payee(currency=currency, **fields)
    save_promoters(conn, [Promoter(promoter_id=one.promoter_id, status="active")])
    save_payees(conn, keys, [one], actor="paula")
    verify_payee(conn, one.promoter_id, actor="vera")
    return one.promoter_id


def earn(
    conn: Connection, campaign_id: str, promoter_id: str, views: int, currency: str = "EUR"
) -> int:
    """Books views at 1,000 micros; returns the id of the accrual."""
    seen = [View(campaign_id, promoter_id, currency)] * views
    partition = new_partition()
    book(conn, partition, Progress(), after(Progress()), [table(seen)])
    row = conn.execute(
        "SELECT accrual_id FROM accruals WHERE partition = %s", (partition,)
    ).fetchone()
    assert row is not None
    return row[0]


def money(conn: Connection, promoter_id: str, currency: str = "EUR") -> dict[str, int]:
    """Balances of a promoter by kind, without the empty ones."""
    return dict(
        conn.execute(
            "SELECT kind, balance_micros FROM accounts JOIN balances USING (account_id)"
            " WHERE owner_id = %s AND currency = %s AND balance_micros <> 0",
            (promoter_id, currency),
        ).fetchall()
    )


__all__ = ["IBAN", "PAYER", "TODAY", "earn", "money", "new_campaign", "new_promoter"]
