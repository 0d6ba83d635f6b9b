"""Whether ClickHouse has the corrections of views that the ledger has."""

from sinks.clickhouse import Client
from sinks.postgres import Connection
from sinks.reconcile_store import LIMIT, Difference

# Sums alone could be right by chance; of the numbers of rows squares are compared, too.
_IN_STORE = """
    SELECT campaign_id, promoter_id, currency, why, was, became, count(), sum(paid_micros),
        sum(capped_micros), sum(toUInt256(correction_id) * correction_id)
    FROM corrections FINAL GROUP BY campaign_id, promoter_id, currency, why, was, became
"""
_IN_LEDGER = """
    SELECT campaign_id, promoter_id, currency, why, was, became, count(*),
        sum(paid_micros)::bigint, sum(capped_micros)::bigint,
        sum(view_correction_id::numeric * view_correction_id)
    FROM view_corrections GROUP BY campaign_id, promoter_id, currency, why, was, became
"""


def last_correction(conn: Connection) -> int:
    """The number of the last correction of a view; 0 if there is none."""
    ((last,),) = conn.execute(
        "SELECT coalesce(max(view_correction_id), 0) FROM view_corrections"
    ).fetchall()
    return int(last)


def behind(client: Client, conn: Connection) -> list[str]:
    """Why corrections cannot be compared yet."""
    ((stored,),) = client.query("SELECT max(correction_id) FROM corrections").result_rows
    ((newer,),) = conn.execute(
        "SELECT count(*) FROM view_corrections WHERE view_correction_id > %s", (stored,)
    ).fetchall()
    if not newer:
        return []
    return [f"ClickHouse is {newer:,} corrections behind: run `viewledger settle`"]


def check_corrections(client: Client, conn: Connection) -> list[Difference]:
    """What the two disagree on, by promoter and kind of correction."""
    stored, ledger = (
        {tuple(row[:6]): tuple(map(int, row[6:])) for row in rows}
        for rows in (client.query(_IN_STORE).result_rows, conn.execute(_IN_LEDGER).fetchall())
    )
    found = [
        Difference(
            "corrections in ClickHouse = corrections in the ledger",
            "campaign {}, promoter {}, {}, {}: {} to {}".format(*key),
            _say(ledger.get(key)),
            _say(stored.get(key)),
        )
        for key in sorted(stored.keys() | ledger.keys())
        if stored.get(key) != ledger.get(key)
    ]
    return found[:LIMIT]


def _say(row: tuple[int, ...] | None) -> str:
    if row is None:
        return "none"
    views, paid, capped, numbers = row
    return f"{views:,} views, {paid:,} micros paid, {capped:,} capped, numbers {numbers}"
