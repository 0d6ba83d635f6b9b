"""`draft`: settling, drafting, approving and exporting for very many promoters."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from pydantic import SecretBytes

from bench.book import own_database
from schemas.catalogue import Campaign, Promoter
from schemas.fencing import Position, Progress
from schemas.payee import mask
from schemas.payout import Address, Iban, Payer
from schemas.seal_keys import Keys
from schemas.settings import Settings
from schemas.verdicts import Verdict
from sinks.book import book
from sinks.catalogue import save
from sinks.payees import aad
from sinks.payouts.approve import approve
from sinks.payouts.draft import draft
from sinks.payouts.export import export
from sinks.postgres import Connection, connect
from sinks.sealing import seal
from sinks.settle import settle

_PROMOTERS, _EXPORTED, _CAMPAIGNS = 100_000, 10_000, 1_000
_IBAN = Iban("DE89370400440532013000", "COBADEFFXXX")
_PAYER = Payer(
    name="Viewledger GmbH",
    address=Address(town="Berlin", country="DE", street="Torstraße", building="1"),
    details=Iban("DE75512108001245126199", "SOGEDEFF"),
)


def measure(settings: Settings) -> dict[str, Any]:
    """One batch over 100,000 promoters, then one of 10,000 that is exported as pain.001."""
    mine = own_database(settings, "bench_draft")
    keys: Keys = {"bench": SecretBytes(secrets.token_bytes(32))}
    took: dict[str, float] = {}

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        took[step] = time.perf_counter() - started

    with connect(mine) as conn:
        names = [f"promoter-{n}" for n in range(_PROMOTERS)]
        campaigns = [_campaign(n) for n in range(_CAMPAIGNS)]
        save(conn, campaigns, [Promoter(promoter_id=one, status="active") for one in names])
        _insert_payees(conn, keys, names)
        with timed("book_s"):
            _earn(conn, names, Progress())
        with timed("settle_s"):
            settle(conn)
        with timed("draft_s"):
            batch = draft(conn, "EUR", None, 0, actor="dora", key="all").batch
        assert batch is not None
        assert len(batch.lines) == _PROMOTERS
        with timed("approve_s"):
            approve(conn, batch.batch_id, actor="alan")
        _earn(conn, names[:_EXPORTED], Progress(Position(1, "bench", 1), 1))
        settle(conn)
        second = draft(conn, "EUR", None, 0, actor="dora", key="some").batch
        assert second is not None
        approve(conn, second.batch_id, actor="alan")
        with timed("export_s"):
            (file,) = export(
                conn, keys, _PAYER, second.batch_id, "pain.001.001.09",
                datetime.now(UTC).date(), actor="xenia",
            )  # fmt: skip
    return {"promoters": _PROMOTERS, "exported": _EXPORTED, "file_bytes": len(file.content), **took}


def _campaign(number: int) -> Campaign:
    return Campaign(
        campaign_id=f"campaign-{number}",
        currency="EUR",
        rate_micros=1_000_000,
        budget_micros=10**15,
        starts_at=datetime(2000, 1, 1, tzinfo=UTC),
        ends_at=datetime(2100, 1, 1, tzinfo=UTC),
        status="active",
        fee_bp=1_000,
        hold_hours=0,
    )


def _earn(conn: Connection, promoters: list[str], before: Progress) -> None:
    """Three views of a euro for each promoter, booked in one transaction."""
    views = len(promoters) * 3
    table = pa.table(
        {
            "campaign_id": pa.array([f"campaign-{n % _CAMPAIGNS}" for n in range(views)]),
            "promoter_id": pa.array(promoters * 3),
            "currency": pa.repeat("EUR", views),
            "rate_micros": pa.array(np.full(views, 1_000_000)),
            "log_time": pa.array(1_760_000_000_000 + np.arange(views)),
            "verdict": pa.array(np.full(views, Verdict.VALID, np.uint8)),
        }
    )
    step = before.next_scored + 1
    book(conn, 0, before, Progress(Position(1, "bench", step), step), [table])


def _insert_payees(conn: Connection, keys: Keys, promoters: list[str]) -> None:
    """Verified payees, each with details of its own seal.

    Not by `save_payees`, which checks one after the other as an import of a few of them may.
    """
    text = msgspec.json.encode(_IBAN)
    conn.execute(
        """
        INSERT INTO payees (promoter_id, legal_name, street, building, postcode, town, region,
            country, currency, method, sealed, key_id, masked, tax_form, backup_withholding,
            updated_by)
        SELECT promoter_id, 'Promoter ' || promoter_id, 'Torstraße', '1', '10119', 'Berlin', '',
            'DE', 'EUR', 'iban', sealed, 'bench', %s, 'none', false, 'paula'
        FROM unnest(%s::text[], %s::bytea[]) AS wanted (promoter_id, sealed)
        """,
        (
            mask(_IBAN),
            promoters,
            [seal(keys, text, aad(one, "iban")).blob for one in promoters],
        ),
    )
    conn.execute("UPDATE payees SET verified_by = 'vera'")
