"""A ledger of a year, filled in minutes: what is explained, sealed and verified."""

from pathlib import Path

import psycopg

from schemas.settings import Settings
from sinks.chain import seal
from sinks.postgres import connect

_HERE = Path(__file__).parent


def fill(settings: Settings, accruals: int, promoters: int, campaigns: int = 200) -> None:
    """Fills an empty ledger with about two journals and four entries for each accrual.

    Needs a superuser, who may switch triggers off. Accounts are sealed, the rest is not.
    """
    sizes = {"accruals": accruals, "promoters": promoters, "campaigns": campaigns}
    with psycopg.connect(settings.url("postgres"), autocommit=True) as owner:
        owner.execute((_HERE / "fill_accounts.sql").read_text().format(**sizes).encode())
        with connect(settings) as conn:
            seal(conn)  # approved batches keep a hash of the chain
        owner.execute((_HERE / "fill_moves.sql").read_text().format(**sizes).encode())
        owner.execute("VACUUM ANALYZE")
