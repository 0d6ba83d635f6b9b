"""Writes what a booking pays: a journal per budget, and the accruals that say for what."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sinks.book_accrue import Accrual
from sinks.ledger import PLATFORM, AccountKind, Entry, Journal, Owner, open_accounts, post
from sinks.postgres import Connection

Payments = dict[Owner, dict[tuple[AccountKind, str], int]]
"""Micros that each budget pays, by kind and owner of the account that gets them."""


class Place(NamedTuple):
    """The stretch of `views.scored` that is booked."""

    partition: int
    scored_from: int
    scored_next: int


def post_accruals(
    conn: Connection, place: Place, budgets: Mapping[Owner, int], accruals: Sequence[Accrual]
) -> int:
    """Writes journals and accruals, within the caller's transaction; returns how many journals.

    Args:
        budgets: accounts of the budgets that pay.
    """
    if not accruals:
        return 0
    payments = _payments(accruals)
    accounts = _open_accounts(conn, payments)
    stretch = f"views.scored {place.partition} [{place.scored_from}, {place.scored_next})"
    journals = [
        Journal(
            "accrual",
            f"accrual:{place.partition}:{place.scored_from}:{campaign}:{currency}",
            f"valid views of {campaign} in {stretch}",
            (
                Entry(budgets[campaign, currency], -sum(paid.values())),
                # A fee of all or nothing leaves somebody with nothing: no entry.
                *(
                    Entry(accounts[(*who, currency)], micros)
                    for who, micros in paid.items()
                    if micros
                ),
            ),
        )
        for (campaign, currency), paid in payments.items()
    ]
    ids = dict(zip(payments, post(conn, journals), strict=True))
    _record(conn, place, ids, accruals)
    return len(journals)


def _payments(accruals: Sequence[Accrual]) -> Payments:
    payments: Payments = defaultdict(lambda: defaultdict(int))
    for row in accruals:
        if row.views:
            paid = payments[row.campaign_id, row.currency]
            paid["promoter_pending", row.promoter_id] += row.amount_micros - row.fee_micros
            paid["platform_fee", PLATFORM] += row.fee_micros
    return payments


def _open_accounts(conn: Connection, payments: Payments) -> dict[tuple[str, str, str], int]:
    owners: dict[AccountKind, set[Owner]] = {"promoter_pending": set(), "platform_fee": set()}
    for (_, currency), paid in payments.items():
        for (kind, owner), micros in paid.items():
            if micros:
                owners[kind].add((owner, currency))
    return {
        (kind, *owner): account
        for kind, wanted in owners.items()
        if wanted
        for owner, account in open_accounts(conn, kind, wanted).items()
    }


def _record(
    conn: Connection, place: Place, journals: Mapping[Owner, int], accruals: Sequence[Accrual]
) -> None:
    conn.execute(
        """
        INSERT INTO accruals (
            campaign_id, promoter_id, currency, rate_micros, log_hour, views, capped_views,
            fee_bp, amount_micros, fee_micros, capped_micros, journal_id,
            partition, scored_from, scored_next)
        SELECT *, %s, %s, %s FROM unnest(
            %s::text[], %s::text[], %s::text[], %s::bigint[], %s::timestamptz[], %s::bigint[],
            %s::bigint[], %s::integer[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
        """,
        (
            *place,
            *(list(column) for column in zip(*accruals, strict=True)),
            [row.amount_micros for row in accruals],
            [row.fee_micros for row in accruals],
            [row.capped_micros for row in accruals],
            [journals[row.campaign_id, row.currency] if row.views else None for row in accruals],
        ),
    )
