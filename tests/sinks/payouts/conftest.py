"""A database of its own: settling and drafting take in everybody."""

from collections.abc import Iterator

import pytest
from support.payees import new_keys
from support.stores import empty_store

from schemas.seal_keys import Keys
from schemas.settings import Settings
from sinks.postgres import Connection, connect


@pytest.fixture(scope="session")
def payout_books(stack: Settings) -> Settings:
    """Settings whose Postgres is migrated and used by tests of payouts only."""
    return empty_store(stack, "postgres")


@pytest.fixture
def conn(payout_books: Settings) -> Iterator[Connection]:
    """A connection for one test; what is payable afterwards bothers nobody."""
    with connect(payout_books) as conn:
        yield conn
        conn.execute("UPDATE promoters SET status = 'suspended' WHERE status = 'active'")


@pytest.fixture(scope="session")
def keys() -> Keys:
    """Keys of the payees."""
    return new_keys()
