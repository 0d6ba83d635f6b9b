"""`book`: views.scored → the ledger, by the real worker, and `sinks.book` by itself."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import pyarrow as pa

from bench.measure import Stopwatch, alone
from bench.workers import Metrics, running, watch
from schemas.catalogue import Campaign, Promoter
from schemas.fencing import Position, Progress
from schemas.settings import Settings
from schemas.verdicts import Verdict
from sinks.book import book
from sinks.catalogue import save
from sinks.migrate import migrate_up
from sinks.postgres import connect

PAIRS = {"book_alone": (25, 40), "book_pairs": (100, 100)}
"""Stage → campaigns and promoters, each campaign with each promoter."""
_BLOCK, _BLOCKS_PER_TRANSACTION = 8_192, 8
_PARTITIONS = 4


def measure(settings: Settings, valid: int) -> dict[str, Any]:
    """Books the `valid` views of the log."""

    def booked(metrics: Metrics) -> float:
        return metrics.total("viewledger_views_booked_total")

    with running(settings, "book", pinned=True) as (worker,):
        run = watch(settings, worker, valid, lambda m: booked(m) > 0, lambda m: booked(m) >= valid)
    with connect(settings) as conn:
        row = conn.execute(
            "SELECT sum(views + capped_views)::bigint, count(DISTINCT (campaign_id, promoter_id))"
            " FROM accruals"
        ).fetchone()
    assert row is not None
    assert row[0] == valid, f"the ledger has {row[0]} views, the log {valid}"
    return run.measured.to_json(services_cpu_s=run.services_cpu_s, pairs=row[1])


def measure_alone(settings: Settings, stage: str, events: int) -> dict[str, Any]:
    """Books synthetic blocks of all pairs of a stage of `PAIRS`, by the function alone."""
    mine = own_database(settings, f"bench_{stage}")
    found: dict[str, Any] = alone(_book, mine, *PAIRS[stage], events)
    return found


def own_database(settings: Settings, name: str) -> Settings:
    """Settings whose Postgres is another database of the same server, migrated."""
    own = urlunsplit(urlsplit(settings.url("postgres"))._replace(path=f"/{name}"))
    mine = settings.model_copy(update={"postgres": own})
    migrate_up(mine, ["postgres"])
    return mine


def _book(settings: Settings, campaigns: int, promoters: int, events: int) -> dict[str, Any]:
    per_transaction = _BLOCK * _BLOCKS_PER_TRANSACTION
    transactions = max(2, events // per_transaction)
    batches = [
        [
            _block(campaigns, promoters, seed * _BLOCKS_PER_TRANSACTION + n)
            for n in range(_BLOCKS_PER_TRANSACTION)
        ]
        for seed in range(transactions)
    ]
    at = [Progress()] * _PARTITIONS
    with connect(settings) as conn:
        people = [f"promoter-{n}" for n in range(promoters)]
        save(
            conn,
            _campaigns(campaigns),
            [Promoter(promoter_id=one, status="active") for one in people],
        )
        watch, views = Stopwatch(), 0
        for turn, blocks in enumerate(batches):
            partition = turn % _PARTITIONS
            before = at[partition]
            raw = before.position.next_raw + per_transaction
            after = Progress(Position(1, "bench", raw), before.next_scored + len(blocks))
            views += book(conn, partition, before, after, blocks).views
            at[partition] = after
        measured = watch.stop(views)
    return measured.to_json(pairs=campaigns * promoters, transactions=transactions)


def _campaigns(count: int) -> list[Campaign]:
    return [
        Campaign(
            campaign_id=f"campaign-{n}",
            currency="EUR",
            rate_micros=1_000 + n,
            budget_micros=10**15,
            starts_at=datetime(2000, 1, 1, tzinfo=UTC),
            ends_at=datetime(2100, 1, 1, tzinfo=UTC),
            status="active",
        )
        for n in range(count)
    ]


def _block(campaigns: int, promoters: int, seed: int) -> pa.Table:
    """Valid views, spread evenly over all pairs, within one hour."""
    rng = np.random.default_rng(seed)
    campaign = rng.integers(0, campaigns, _BLOCK)
    promoter = rng.integers(0, promoters, _BLOCK)
    return pa.table(
        {
            "campaign_id": pa.array([f"campaign-{n}" for n in campaign]),
            "promoter_id": pa.array([f"promoter-{n}" for n in promoter]),
            "currency": pa.repeat("EUR", _BLOCK),
            "rate_micros": pa.array(1_000 + campaign),
            "log_time": pa.array(1_760_000_000_000 + np.arange(_BLOCK)),
            "verdict": pa.array(np.full(_BLOCK, Verdict.VALID, np.uint8)),
        }
    )
