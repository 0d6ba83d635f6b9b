"""All collectors hash with the same salts, ahead of midnight, and go on without Postgres."""

import asyncio
from datetime import date
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from support.clock import today
from support.stores import empty_store

from pipeline.collector.privacy import Privacy
from pipeline.collector.salts import DAY_MS, Salts
from schemas.metrics import SALT_MISSING
from schemas.settings import Settings
from sinks.postgres import connect
from sinks.sealing import new_key

pytestmark = pytest.mark.services

KEY = SecretStr("a:" + new_key().partition(":")[2])
ADDRESS = "84.128.1.1"


@pytest.fixture(scope="module")
def own(stack: Settings) -> Settings:
    """A Postgres for these tests alone: no other collector could open what they seal."""
    return empty_store(stack, "postgres").model_copy(update={"collector_keys": KEY})


@pytest.fixture
def shared(own: Settings) -> Settings:
    """Settings of collectors that share a sealing key, and no salts from before."""
    with psycopg.connect(own.url("postgres"), autocommit=True) as owner:
        owner.execute("ALTER TABLE address_salts DISABLE TRIGGER check_day")
        owner.execute("DELETE FROM address_salts")
        owner.execute("ALTER TABLE address_salts ENABLE TRIGGER check_day")
    return own


@pytest.fixture
def day() -> int:
    """Days since the epoch."""
    return (today() - date(1970, 1, 1)).days


def missing() -> float:
    (metric,) = SALT_MISSING.collect()
    return metric.samples[0].value


def away(settings: Settings) -> Settings:
    return settings.model_copy(update={"postgres": "postgresql://nobody@127.0.0.1:1/none"})


def test_two_collectors_hash_alike_today_and_tomorrow(shared: Settings, day: int) -> None:
    one, other = Privacy(shared), Privacy(shared)

    async def both() -> None:
        await asyncio.gather(one.refresh(), other.refresh())

    asyncio.run(both())
    for one_day in (day, day + 1):
        found = one.origin_of(ADDRESS, one_day * DAY_MS)
        assert found.ip_hash is not None
        assert other.origin_of(ADDRESS, one_day * DAY_MS) == found
    assert one.origin_of(ADDRESS, (day + 2) * DAY_MS).ip_hash is None
    assert missing() == 0


def test_a_salt_that_comes_later_is_used_from_then_on(shared: Settings, day: int) -> None:
    found = Privacy(shared)
    now_ms = day * DAY_MS
    assert found.origin_of(ADDRESS, now_ms).ip_hash is None
    asyncio.run(found.refresh())
    assert found.origin_of(ADDRESS, now_ms).ip_hash is not None


def test_without_postgres_it_goes_on_until_its_salts_end(shared: Settings, day: int) -> None:
    salts = Salts(shared)
    asyncio.run(salts.refresh())
    had = salts.of_day(day), salts.of_day(day + 1)
    assert None not in had
    salts._settings = away(shared)
    asyncio.run(salts.refresh())
    assert (salts.of_day(day), salts.of_day(day + 1)) == had
    assert (salts.missing, missing()) == (False, 0)
    asyncio.run(salts.refresh((day + 1) * DAY_MS))
    assert (salts.of_day(day), salts.of_day(day + 1)) == had
    # The day after there is none, the oldest is forgotten, and a metric says so.
    asyncio.run(salts.refresh((day + 2) * DAY_MS))
    assert (salts.of_day(day), salts.of_day(day + 1)) == (None, had[1])
    assert (salts.missing, missing()) == (True, 1)
    salts._settings = shared
    asyncio.run(salts.refresh())
    assert (salts.of_day(day), missing()) == (had[0], 0)


def test_with_another_sealing_key_there_are_no_hashes(shared: Settings, day: int) -> None:
    asyncio.run(Privacy(shared).refresh())
    stranger = SecretStr("b:" + new_key().partition(":")[2])
    found = Privacy(shared.model_copy(update={"collector_keys": stranger}))
    asyncio.run(found.refresh())
    origin = found.origin_of(ADDRESS, day * DAY_MS)
    assert (origin.ip, origin.ip_hash, origin.network) == (None, None, "other")
    with connect(shared) as conn:
        rows = conn.execute("SELECT DISTINCT seal_key_id FROM address_salts").fetchall()
    assert rows == [("a",)]


def test_a_clock_that_is_days_off_gets_no_salts(shared: Settings, day: int) -> None:
    salts = Salts(shared)
    asyncio.run(salts.refresh((day + 30) * DAY_MS))
    assert salts.missing


def test_never_started_services_are_no_reason_to_fall_over(tmp_path: Path) -> None:
    salts = Salts(Settings(data=tmp_path))
    asyncio.run(salts.refresh())
    assert salts.missing


def test_keep_fresh_goes_on_until_it_is_cancelled(shared: Settings, day: int) -> None:
    found = Privacy(shared)

    async def run() -> None:
        task = asyncio.create_task(found.keep_fresh())
        while found.origin_of(ADDRESS, day * DAY_MS).ip_hash is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(run(), 60))
