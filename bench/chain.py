"""`chain`: sealing the rows of a ledger, and verifying them."""

import time
from typing import Any

from bench.book import own_database
from bench.fill import fill
from schemas.settings import Settings
from sinks.chain import seal, verify_chain
from sinks.postgres import connect

_ACCRUALS, _PROMOTERS = 60_000, 2_000


def measure(settings: Settings) -> dict[str, Any]:
    """Seals half a million rows of all chained tables, then reads all of them again."""
    mine = own_database(settings, "bench_chain")
    fill(mine, _ACCRUALS, _PROMOTERS)
    with connect(mine) as conn:
        started = time.perf_counter()
        sealed = seal(conn)
        done = time.perf_counter()
        chain = verify_chain(conn)
        verify_s = time.perf_counter() - done
    assert chain.tampered == [], chain.tampered[:3]
    assert chain.rows >= sealed > 0
    return {
        "rows": chain.rows,
        "links": chain.links,
        "seal_per_s": sealed / (done - started),
        "verify_per_s": chain.rows / verify_s,
    }
