"""Connections to Postgres, and trying again where two transactions got in each other's way.

Everything but migrations works as the role `viewledger_app`, which may add to the ledger and
neither change nor delete what is there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.errors import DeadlockDetected, SerializationFailure
from psycopg_pool import ConnectionPool, PoolTimeout
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from schemas.settings import Settings

APP_ROLE = "viewledger_app"

Connection = psycopg.Connection[tuple[Any, ...]]
Pool = ConnectionPool[Connection]
_ALL_TAKEN = ("too many clients already", "remaining connection slots are reserved")
"""What a server says, in any language setting of ours, that takes no more connections."""


class NoConnectionError(psycopg.OperationalError):
    """There is no connection to be had; says what to do."""


def connect(settings: Settings, application: str = "viewledger") -> Connection:
    """A connection in autocommit mode: a transaction is what `conn.transaction()` encloses.

    Raises:
        NotRunningError: no Postgres is configured.
        psycopg.OperationalError: it does not answer within five seconds, or is not migrated.
    """
    return connect_url(settings.url("postgres"), application)


def connect_url(url: str, application: str = "viewledger") -> Connection:
    """As `connect`."""
    try:
        return psycopg.connect(url, **_options(application))
    except psycopg.OperationalError as error:
        raise _explained(error) from error


def pool(settings: Settings, application: str = "viewledger", timeout_s: float = 30.0) -> Pool:
    """At most `settings.postgres_connections` connections as those of `connect`, not yet open.

    Args:
        timeout_s: how long `borrowed` waits for one.

    Raises:
        NotRunningError: no Postgres is configured.
    """
    return ConnectionPool(
        settings.url("postgres"),
        connection_class=Connection,
        kwargs=_options(application),
        min_size=0,
        max_size=settings.postgres_connections,
        timeout=timeout_s,
        check=ConnectionPool.check_connection,  # one that broke meanwhile is not handed out
        open=False,
    )


@contextmanager
def borrowed(of: Pool) -> Iterator[Connection]:
    """A connection of a pool, opened on first use; it is given back at the end.

    Raises:
        NoConnectionError: none became free in time, or the server has none left.
        psycopg.OperationalError: Postgres does not answer.
    """
    of.open()
    try:
        conn = of.getconn()
    except PoolTimeout as error:
        # The pool does not know whether it was refused a connection: a try of our own tells.
        connect_url(str(of.conninfo)).close()
        raise NoConnectionError(
            f"all {of.max_size} connections to Postgres were busy for {of.timeout:g} s: raise "
            "VIEWLEDGER_POSTGRES_CONNECTIONS, and max_connections of the server with it"
        ) from error
    try:
        with conn:
            yield conn
    finally:
        of.putconn(conn)


def _options(application: str) -> dict[str, Any]:
    return {
        "autocommit": True,
        "connect_timeout": 5,
        # A server that vanishes is noticed within the minute, not by the system's own two hours.
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "application_name": application,
        "options": f"-c role={APP_ROLE}",
    }


def _explained(error: psycopg.OperationalError) -> psycopg.OperationalError:
    """The same with what to do, where that is known."""
    if APP_ROLE in str(error):
        return psycopg.OperationalError(
            f"there is no role {APP_ROLE}, or it is not granted to the user of the URL: "
            "run `viewledger migrate up` as the owner of the tables"
        )
    if any(words in str(error) for words in _ALL_TAKEN):
        return NoConnectionError(
            "Postgres has no connection left (too many clients): raise its max_connections, or "
            "lower VIEWLEDGER_POSTGRES_CONNECTIONS of the workers"
        )
    return error


retry_conflicts = retry(
    retry=retry_if_exception_type((SerializationFailure, DeadlockDetected)),
    wait=wait_random_exponential(multiplier=0.01, max=1.0),
    stop=stop_after_attempt(20),
    reraise=True,
)
"""Decorates a function that is one whole transaction."""
