import time
from collections.abc import Iterator

import psycopg
import pytest
from support.ledger import campaign
from support.stores import empty_store

from pipeline import upkeep
from schemas.settings import Settings
from sinks.catalogue import save_campaigns
from sinks.chain import unsealed, verify_chain
from sinks.postgres import connect

pytestmark = pytest.mark.services


@pytest.fixture
def books(stack: Settings) -> Iterator[Settings]:
    """A ledger of its own, looked after all the time."""
    found = empty_store(stack, "postgres").model_copy(update={"seal_seconds": 0.01})
    stop = upkeep.start(found)
    yield found
    stop.set()


def wait_until_sealed(books: Settings) -> None:
    with connect(books) as conn:
        while unsealed(conn) or not verify_chain(conn).rows:
            time.sleep(0.01)


def test_what_is_booked_is_sealed(books: Settings) -> None:
    with connect(books) as conn:
        save_campaigns(conn, [campaign(1000)])
    wait_until_sealed(books)


def test_it_goes_on_after_an_error(books: Settings) -> None:
    with psycopg.connect(books.url("postgres"), autocommit=True) as owner:
        owner.execute("ALTER TABLE chain_links RENAME TO elsewhere")
        save_campaigns(owner, [campaign(1000)])
        time.sleep(0.1)  # some turns that fail
        owner.execute("ALTER TABLE elsewhere RENAME TO chain_links")
    wait_until_sealed(books)


def test_partitions_are_made_ahead(stack: Settings) -> None:
    books = empty_store(stack, "postgres")
    with psycopg.connect(books.url("postgres"), autocommit=True) as owner:
        ahead = (
            "entries_"
            + owner.execute(
                "SELECT to_char((now() AT TIME ZONE 'UTC') + interval '2 months', 'YYYY_MM')"
            ).fetchone()[0]
        )
        owner.execute(f"DROP TABLE {ahead}")
        with connect(books) as conn:
            assert upkeep.make_partitions(conn) == 1
            assert upkeep.make_partitions(conn) == 0
