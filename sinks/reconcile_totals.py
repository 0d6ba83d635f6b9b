"""What became of all events, and of the money: the figures that `reconcile` compares."""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from sinks.clickhouse import Client
from sinks.ledger_verify import Total, ledger_totals
from sinks.postgres import Connection

Owner = tuple[str, str, str]
"""Campaign, promoter, currency."""


class Valid(NamedTuple):
    """Valid views in ClickHouse, and what they cost."""

    views: int = 0
    micros: int = 0


class Money(msgspec.Struct, frozen=True):
    """Valid views times their rate, in micros of one currency."""

    valid_micros: int
    accrued_micros: int
    capped_micros: int


class Books(msgspec.Struct, frozen=True):
    """Where the money is that campaigns paid, in micros of one currency.

    What was accrued less what was corrected is the sum of all the others.
    """

    accrued_micros: int
    corrected_micros: int
    pending_micros: int
    payable_micros: int
    debt_micros: int
    """Below zero: what promoters owe."""
    clearing_micros: int
    """In payout lines that are not settled."""
    bank_micros: int
    """Paid out."""
    tax_micros: int
    fee_micros: int


class Totals(msgspec.Struct, frozen=True):
    """What became of all events."""

    read: int
    accepted: int
    duplicates: int
    rejected: int
    rejected_by_reason: dict[str, int]
    verdicts: dict[str, int]
    valid_views: int
    accrued_views: int
    capped_views: int
    money: dict[str, Money]
    """By currency."""


def stored_views(client: Client) -> dict[Owner, Valid]:
    """Valid views in ClickHouse."""
    rows = client.query(
        "SELECT campaign_id, promoter_id, currency, count(), sum(rate_micros) FROM views"
        " WHERE verdict = 'valid' GROUP BY campaign_id, promoter_id, currency"
    ).result_rows
    return {tuple(owner): Valid(views, micros) for *owner, views, micros in rows}


def booked_views(conn: Connection) -> dict[Owner, Total]:
    """Valid views in the ledger, paid and capped."""
    return {(row.campaign_id, row.promoter_id, row.currency): row for row in ledger_totals(conn)}


def after_corrections(
    client: Client, conn: Connection, stored: dict[Owner, Valid], booked: dict[Owner, Total]
) -> tuple[dict[Owner, Valid], dict[Owner, Total]]:
    """The same with what settlement and reviews judged otherwise, view by view."""
    rows = client.query(
        "SELECT campaign_id, promoter_id, currency,"
        " sum((became = 'valid') - (was = 'valid') AS more), sum(more * rate_micros)"
        " FROM corrections FINAL GROUP BY campaign_id, promoter_id, currency"
    ).result_rows
    stored, booked = dict(stored), dict(booked)
    for *names, views, micros in rows:
        owner = (names[0], names[1], names[2])
        before = stored.get(owner, Valid())
        stored[owner] = Valid(before.views + views, before.micros + micros)
    for *names, views, capped, amount, capped_amount in conn.execute(_TAKEN_BACK):
        owner = (names[0], names[1], names[2])
        total = booked.get(owner, Total(*owner, 0, 0, 0, 0))
        booked[owner] = total._replace(
            views=total.views - views,
            amount_micros=total.amount_micros - amount,
            capped_views=total.capped_views - capped,
            capped_micros=total.capped_micros - capped_amount,
        )
    return stored, booked


# What was taken back by number before its views were named is paid no more, either.
_TAKEN_BACK = """
    SELECT campaign_id, promoter_id, currency, sum(paid)::bigint, sum(capped)::bigint,
        sum(paid * rate_micros)::bigint, sum(capped * rate_micros)::bigint
    FROM (SELECT campaign_id, promoter_id, currency, rate_micros, corrections.views AS paid,
              0 AS capped
          FROM corrections JOIN accruals USING (accrual_id)
          WHERE correction_id IN (SELECT correction_id FROM view_corrections)
          UNION ALL
          SELECT campaign_id, promoter_id, currency, rate_micros,
              count(*) FILTER (WHERE capped_micros = 0),
              count(*) FILTER (WHERE capped_micros < 0)
          FROM view_corrections WHERE was = 'valid' AND paid_micros = 0
          GROUP BY campaign_id, promoter_id, currency, rate_micros) AS back
    GROUP BY campaign_id, promoter_id, currency
"""


def load_books(conn: Connection) -> dict[str, Books]:
    """Sums of the accounts, by currency."""
    rows = conn.execute(
        """
        SELECT currency, coalesce(accrued, 0), coalesce(corrected, 0), coalesce(pending, 0),
            coalesce(payable, 0), coalesce(debt, 0), coalesce(clearing, 0), coalesce(bank, 0),
            coalesce(tax, 0), coalesce(fee, 0)
        FROM (SELECT currency, sum(amount_micros)::bigint AS accrued
              FROM accruals GROUP BY currency) AS accrued
        FULL JOIN
             (SELECT currency, sum(corrections.amount_micros)::bigint AS corrected
              FROM corrections JOIN accruals USING (accrual_id) GROUP BY currency) AS corrected
            USING (currency)
        FULL JOIN
             (SELECT currency,
                  sum(balance_micros) FILTER (WHERE kind = 'promoter_pending')::bigint AS pending,
                  sum(balance_micros) FILTER (WHERE kind = 'promoter_payable')::bigint AS payable,
                  sum(balance_micros) FILTER (WHERE kind = 'promoter_debt')::bigint AS debt,
                  sum(balance_micros) FILTER (WHERE kind = 'payout_clearing')::bigint AS clearing,
                  sum(balance_micros) FILTER (WHERE kind = 'bank')::bigint AS bank,
                  sum(balance_micros) FILTER (WHERE kind = 'tax_withheld')::bigint AS tax,
                  sum(balance_micros) FILTER (WHERE kind = 'platform_fee')::bigint AS fee
              FROM accounts JOIN balances USING (account_id) GROUP BY currency) AS balances
            USING (currency)
        ORDER BY currency
        """
    ).fetchall()
    return {currency: Books(*micros) for currency, *micros in rows}


def totals(
    client: Client,
    raw_ranges: Mapping[int, tuple[int, int]],
    stored: Mapping[Owner, Valid],
    booked: Mapping[Owner, Total],
) -> Totals:
    """Sums over all partitions, campaigns and promoters."""
    ((accepted, duplicates, rejected, verdicts, refusals),) = client.query(
        "SELECT sum(accepted), sum(duplicates), sum(rejected), sumMap(verdicts), sumMap(refusals)"
        " FROM blocks"
    ).result_rows
    money: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for (_, _, currency), valid in stored.items():
        money[currency][0] += valid.micros
    for (_, _, currency), total in booked.items():
        money[currency][1] += total.amount_micros
        money[currency][2] += total.capped_micros
    return Totals(
        read=sum(end for _, end in raw_ranges.values()),
        accepted=accepted,
        duplicates=duplicates,
        rejected=rejected,
        rejected_by_reason={k: n for k, n in sorted(refusals.items()) if k != "duplicate"},
        verdicts=verdicts,
        valid_views=sum(valid.views for valid in stored.values()),
        accrued_views=sum(total.views for total in booked.values()),
        capped_views=sum(total.capped_views for total in booked.values()),
        money={currency: Money(*micros) for currency, micros in sorted(money.items())},
    )
