"""Databases of their own for tests of the sinks: a ledger cannot be emptied."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from support.databases import with_database

from schemas.settings import Settings
from sinks.migrate import migrate_up
from sinks.postgres import Connection, connect


@pytest.fixture(scope="session")
def books(stack: Settings) -> Settings:
    """Settings whose Postgres is migrated and used by no other tests."""
    url = with_database(stack.url("postgres"), f"books_{secrets.token_hex(4)}")
    found = stack.model_copy(update={"postgres": url})
    migrate_up(found, ["postgres"])
    return found


@pytest.fixture(scope="session")
def session_conn(books: Settings) -> Iterator[Connection]:
    """One connection for all tests, for those of Hypothesis."""
    with connect(books) as conn:
        yield conn


@pytest.fixture
def conn(books: Settings) -> Iterator[Connection]:
    """A connection for one test."""
    with connect(books) as conn:
        yield conn


@pytest.fixture
def owner(books: Settings) -> Iterator[Connection]:
    """A connection of whoever owns the tables: only triggers hold it back."""
    with psycopg.connect(books.url("postgres"), autocommit=True) as conn:
        yield conn
