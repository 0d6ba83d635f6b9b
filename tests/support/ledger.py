"""Campaigns, views and positions for tests of the ledger. Names are new in every test."""

import itertools
import random
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pyarrow as pa

from schemas.block import ACCEPTED
from schemas.catalogue import Campaign
from schemas.fencing import Position, Progress
from schemas.verdicts import Verdict
from sinks.book_accrue import COLUMNS

HOUR_MS = 3_600_000
_partitions = itertools.count(random.SystemRandom().randrange(2**30))


class View(NamedTuple):
    """What the ledger sees of a view."""

    campaign_id: str
    promoter_id: str = "p"
    currency: str = "EUR"
    rate_micros: int = 1000
    log_time: int = 1_760_000_000_000
    verdict: int = int(Verdict.VALID)


def table(views: Iterable[View]) -> pa.Table:
    """Views as the accepted part of a block."""
    schema = pa.schema([ACCEPTED.field(name) for name in COLUMNS])
    return pa.Table.from_pylist([view._asdict() for view in views], schema=schema)


def name(prefix: str = "c") -> str:
    """An id that nobody has used."""
    return f"{prefix}-{secrets.token_hex(6)}"


def new_partition() -> int:
    """A partition that was never booked."""
    return next(_partitions)


def campaign(budget_micros: int = 10**9, **fields: Any) -> Campaign:
    """An active campaign with a new id."""
    known = {
        "campaign_id": name(),
        "currency": "EUR",
        "rate_micros": 1000,
        "starts_at": datetime(2025, 1, 1, tzinfo=UTC),
        "ends_at": datetime(2027, 1, 1, tzinfo=UTC),
        "status": "active",
    }
    return Campaign(**(known | {"budget_micros": budget_micros} | fields))


def after(before: Progress, events: int = 10, messages: int = 1) -> Progress:
    """The position some blocks later."""
    position = Position(1, "writer", before.position.next_raw + events)
    return Progress(position, before.next_scored + messages)
