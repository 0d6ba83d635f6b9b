"""What must sum up along a trace; each check returns sentences about what does not."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sinks.postgres import Connection
from sinks.trace_accruals import TracedAccrual


def check_payout(conn: Connection, line_id: int) -> list[str]:
    """The journal of a line moves what the line says."""
    rows = conn.execute(
        """
        SELECT wanted.kind, micros, coalesce(sum(entries.amount_micros), 0)::bigint
        FROM payout_lines
        JOIN payout_batches USING (batch_id)
        CROSS JOIN LATERAL (VALUES
            ('promoter_payable', promoter_id, -gross_micros),
            ('payout_clearing', promoter_id, amount_micros),
            ('tax_withheld', 'platform', withheld_micros)) AS wanted (kind, owner_id, micros)
        LEFT JOIN accounts ON accounts.kind = wanted.kind AND accounts.owner_id = wanted.owner_id
            AND accounts.currency = payout_batches.currency
        LEFT JOIN entries ON entries.journal_id = payout_journal_id
            AND entries.account_id = accounts.account_id
        WHERE line_id = %s
        GROUP BY wanted.kind, micros
        HAVING micros <> coalesce(sum(entries.amount_micros), 0)
        """,
        (line_id,),
    )
    return [
        f"line {line_id}: its journal moves {found:,} micros on {kind} and not {wanted:,}"
        for kind, wanted, found in rows
    ]


def check_settlements(settled: Mapping[int, int], accruals: Sequence[TracedAccrual]) -> list[str]:
    """Every settlement is the sum of its accruals.

    Args:
        settled: micros that were settled, by journal.
    """
    sums: dict[int, int] = defaultdict(int)
    for accrual in accruals:
        sums[accrual.settlement_id] += accrual.net_micros
    return [
        f"settlement (journal {journal_id}) is of {micros:,} micros and its accruals sum to "
        f"{sums[journal_id]:,}"
        for journal_id, micros in settled.items()
        if sums[journal_id] != micros
    ]


def check_accruals(
    conn: Connection, promoter_id: str, currency: str, accruals: Sequence[TracedAccrual]
) -> list[str]:
    """Every accrual is its views, in ClickHouse and by their price, and what its journal booked."""
    found = []
    for one in accruals:
        said = f"accrual {one.accrual_id}"
        if (one.promoter_id, one.currency) != (promoter_id, currency):
            found.append(f"{said} is of {one.promoter_id} in {one.currency}")
        if one.found_views != one.views + one.capped_views:
            found.append(
                f"{said} is of {one.views:,} paid and {one.capped_views:,} capped views and "
                f"ClickHouse has {one.found_views:,} (campaign {one.campaign_id}, partition "
                f"{one.partition}, scored offsets [{one.scored_from}, {one.scored_next}), hour "
                f"{one.log_hour:%Y-%m-%dT%H:%MZ}, rate {one.rate_micros:,})"
            )
        net = one.views * one.rate_micros - one.fee_micros - one.corrected_micros
        if net != one.net_micros:
            found.append(f"{said} comes to {net:,} micros and {one.net_micros:,} were settled")
    return found + _check_journals(conn, promoter_id, currency, accruals)


def _check_journals(
    conn: Connection, promoter_id: str, currency: str, accruals: Sequence[TracedAccrual]
) -> list[str]:
    rows = conn.execute(
        """
        SELECT journal_id, coalesce(booked.micros, 0), coalesce(credited.micros, 0)
        FROM unnest(%s::bigint[]) AS wanted (journal_id)
        CROSS JOIN LATERAL (
            SELECT sum(amount_micros - fee_micros)::bigint AS micros FROM accruals
            WHERE accruals.journal_id = wanted.journal_id AND promoter_id = %s AND currency = %s
            ) AS booked
        CROSS JOIN LATERAL (
            SELECT sum(amount_micros)::bigint AS micros
            FROM entries JOIN accounts USING (account_id)
            WHERE entries.journal_id = wanted.journal_id AND kind = 'promoter_pending'
                AND owner_id = %s AND currency = %s) AS credited
        WHERE booked.micros IS DISTINCT FROM credited.micros
        ORDER BY journal_id
        """,
        (
            sorted({accrual.journal_id for accrual in accruals}),
            promoter_id,
            currency,
            promoter_id,
            currency,
        ),
    )
    return [
        f"journal {journal_id} booked {credited:,} micros for {promoter_id} and its accruals sum "
        f"to {booked:,}"
        for journal_id, booked, credited in rows
        if booked or credited
    ]
