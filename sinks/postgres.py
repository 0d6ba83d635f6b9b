"""Connections to Postgres, and trying again where two transactions got in each other's way.

Everything but migrations works as the role `viewledger_app`, which may add to the ledger and
neither change nor delete what is there.
"""

from typing import Any

import psycopg
from psycopg.errors import DeadlockDetected, SerializationFailure
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from schemas.settings import Settings

APP_ROLE = "viewledger_app"

Connection = psycopg.Connection[tuple[Any, ...]]


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
        return psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=5,
            application_name=application,
            options=f"-c role={APP_ROLE}",
        )
    except psycopg.OperationalError as error:
        if APP_ROLE in str(error):
            raise psycopg.OperationalError(
                f"there is no role {APP_ROLE}, or it is not granted to the user of the URL: "
                "run `viewledger migrate up` as the owner of the tables"
            ) from error
        raise


retry_conflicts = retry(
    retry=retry_if_exception_type((SerializationFailure, DeadlockDetected)),
    wait=wait_random_exponential(multiplier=0.01, max=1.0),
    stop=stop_after_attempt(20),
    reraise=True,
)
"""Decorates a function that is one whole transaction."""
