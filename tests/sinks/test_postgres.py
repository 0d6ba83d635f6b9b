"""Real servers that have no connection left, and pools that have none."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import sql
from support.databases import with_database

from schemas.settings import Settings
from sinks.migrate import migrate_up
from sinks.postgres import NoConnectionError, borrowed, connect, pool

pytestmark = pytest.mark.services


def test_a_pool_lends_as_many_connections_as_are_set(books: Settings) -> None:
    two = books.model_copy(update={"postgres_connections": 2})
    with pool(two, "pool") as connections:
        with borrowed(connections) as one, borrowed(connections) as other:
            assert one.info.backend_pid != other.info.backend_pid
            row = one.execute("SELECT current_user, current_setting('application_name')")
            assert row.fetchone() == ("viewledger_app", "pool")
            connections.timeout = 0.3
            with (
                pytest.raises(NoConnectionError, match=r"all 2 .*VIEWLEDGER_POSTGRES_CONNECTIONS"),
                borrowed(connections),
            ):
                pass
            connections.timeout = 30
        with borrowed(connections) as again:
            assert again.execute("SELECT 1").fetchone() == (1,)


def test_many_take_turns(books: Settings) -> None:
    two = books.model_copy(update={"postgres_connections": 2})

    def ask(number: int) -> int:
        with borrowed(connections) as conn:
            row = conn.execute("SELECT pg_backend_pid(), pg_sleep(0.01)").fetchone()
            assert row is not None
            return int(row[0])

    with pool(two, timeout_s=20) as connections, ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ask, range(16)))) <= 2


def test_a_connection_that_broke_is_not_lent_again(
    books: Settings, owner: psycopg.Connection
) -> None:
    one = books.model_copy(update={"postgres_connections": 1})
    with pool(one, timeout_s=10) as connections:
        with borrowed(connections) as conn:
            first = conn.info.backend_pid
        owner.execute("SELECT pg_terminate_backend(%s)", (first,))
        with borrowed(connections) as conn:
            assert conn.info.backend_pid != first


def test_a_server_that_has_no_connection_left_says_what_to_do(stack: Settings) -> None:
    name = f"crowded_{secrets.token_hex(4)}"
    crowded = stack.model_copy(
        update={"postgres": with_database(stack.url("postgres"), name), "postgres_connections": 4}
    )
    migrate_up(crowded, ["postgres"])
    user = f"guest_{secrets.token_hex(4)}"  # a superuser has connections in reserve
    with psycopg.connect(stack.url("postgres"), autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'guest' IN ROLE viewledger_app").format(
                sql.Identifier(user)
            )
        )
    url = crowded.url("postgres")
    guest = url.replace(url.partition("//")[2].partition("@")[0], f"{user}:guest")
    mine = crowded.model_copy(update={"postgres": guest})
    with ExitStack() as taken:
        with pytest.raises(NoConnectionError, match=r"max_connections") as refused:
            for _ in range(200):
                taken.enter_context(connect(mine))
        assert "too many clients" in str(refused.value)
        with (
            pool(mine, timeout_s=0.5) as connections,
            pytest.raises(NoConnectionError, match="max_connections"),
            borrowed(connections),
        ):
            pass
