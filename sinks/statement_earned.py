"""What a statement says of earnings: accruals, what of them is in hold, and corrections."""

from datetime import datetime

import msgspec

from sinks.postgres import Connection
from sinks.statement_accounts import Accounts, Period, StatementError


class Earned(msgspec.Struct, frozen=True):
    """Views that were booked in the period, of one campaign at one rate."""

    currency: str
    campaign_id: str
    rate_micros: int
    fee_bp: int
    views: int
    """Paid."""
    gross_micros: int
    fee_micros: int
    """Of it, kept by the platform."""
    capped_views: int
    """Valid, but not covered by the budget: not paid."""


class Hold(msgspec.Struct, frozen=True):
    """What is pending at the end of the period, of one campaign; after corrections and fees."""

    currency: str
    campaign_id: str
    views: int
    net_micros: int
    first_release: datetime
    last_release: datetime


class Correction(msgspec.Struct, frozen=True):
    """Views that were taken back."""

    currency: str
    correction_id: int
    at: datetime
    accrual_id: int
    campaign_id: str
    rate_micros: int
    views: int
    gross_micros: int
    fee_micros: int
    reason: str
    accounts: Accounts
    """Where what the promoter loses was taken from."""


# The index of accruals begins with the campaign; Postgres skips through it for a promoter.
_EARNED = """
    SELECT currency, campaign_id, rate_micros, fee_bp, sum(views)::bigint,
        sum(amount_micros)::bigint, sum(fee_micros)::bigint, sum(capped_views)::bigint
    FROM accruals
    WHERE promoter_id = %(promoter)s AND booked_at >= %(from)s AND booked_at < %(to)s
    GROUP BY currency, campaign_id, rate_micros, fee_bp
    ORDER BY currency, campaign_id, rate_micros, fee_bp
"""
# A correction after the settlement took from what was payable and leaves the hold as it was;
# which came first is told by numbers that both drew under one lock.
_HELD = """
    SELECT currency, campaign_id, sum(accruals.views - back.views)::bigint,
        sum(amount_micros - fee_micros - back.micros)::bigint,
        min(booked_at + make_interval(hours => hold_hours)),
        max(booked_at + make_interval(hours => hold_hours))
    FROM accruals
    JOIN campaigns USING (campaign_id, currency)
    LEFT JOIN settled_accruals AS settled USING (accrual_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(corrections.views), 0) AS views,
            coalesce(sum(corrections.amount_micros - corrections.fee_micros), 0) AS micros
        FROM corrections
        WHERE corrections.accrual_id = accruals.accrual_id AND created_at < %(to)s
            AND (settled.journal_id IS NULL OR reversal_id < settled.journal_id)) AS back
    WHERE promoter_id = %(promoter)s AND accruals.journal_id IS NOT NULL
        AND booked_at < %(to)s AND (settled_at IS NULL OR settled_at >= %(to)s)
        AND accruals.views > back.views
    GROUP BY currency, campaign_id ORDER BY currency, campaign_id
"""
_CORRECTIONS = """
    SELECT currency, correction_id, corrections.created_at, accrual_id, campaign_id, rate_micros,
        corrections.views, corrections.amount_micros, corrections.fee_micros, reason,
        moved.pending, moved.payable, moved.debt
    FROM corrections
    JOIN accruals USING (accrual_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(entries.amount_micros)
                FILTER (WHERE kind = 'promoter_pending'), 0)::bigint AS pending,
            coalesce(sum(entries.amount_micros)
                FILTER (WHERE kind = 'promoter_payable'), 0)::bigint AS payable,
            coalesce(sum(entries.amount_micros)
                FILTER (WHERE kind = 'promoter_debt'), 0)::bigint AS debt
        FROM entries JOIN accounts USING (account_id)
        WHERE entries.journal_id IN (reversal_id, rebooked_id)
            AND owner_id = promoter_id AND accounts.currency = accruals.currency) AS moved
    WHERE promoter_id = %(promoter)s
        AND corrections.created_at >= %(from)s AND corrections.created_at < %(to)s
    ORDER BY correction_id
"""


def load_earned(conn: Connection, period: Period) -> list[Earned]:
    """Paid and capped views by campaign, rate and fee."""
    return [Earned(*row) for row in conn.execute(_EARNED, period)]


def load_hold(conn: Connection, period: Period) -> list[Hold]:
    """What had not been settled at the end of the period."""
    return [Hold(*row) for row in conn.execute(_HELD, period)]


def load_corrections(conn: Connection, period: Period) -> list[Correction]:
    """Corrections in order.

    Raises:
        StatementError: the journals of one took something else from the promoter.
    """
    found = []
    for *columns, pending, payable, debt in conn.execute(_CORRECTIONS, period):
        one = Correction(*[*columns, Accounts(pending, payable, debt)])
        net, taken = one.gross_micros - one.fee_micros, -(pending + payable + debt)
        if net != taken:
            raise StatementError(
                f"correction {one.correction_id} is of {net:,} micros and its journals took "
                f"{taken:,} from {period['promoter']}: run `viewledger ledger verify`"
            )
        found.append(one)
    return found
