"""Connections to Postgres, and trying again where two transactions got in each other's way."""

from typing import Any

import psycopg
from psycopg.errors import DeadlockDetected, SerializationFailure
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from schemas.settings import Settings

Connection = psycopg.Connection[tuple[Any, ...]]


def connect(settings: Settings, application: str = "viewledger") -> Connection:
    """A connection in autocommit mode: a transaction is what `conn.transaction()` encloses.

    Raises:
        NotRunningError: no Postgres is configured.
        psycopg.OperationalError: it does not answer within five seconds.
    """
    return psycopg.connect(
        settings.url("postgres"),
        autocommit=True,
        connect_timeout=5,
        application_name=application,
    )


retry_conflicts = retry(
    retry=retry_if_exception_type((SerializationFailure, DeadlockDetected)),
    wait=wait_random_exponential(multiplier=0.01, max=1.0),
    stop=stop_after_attempt(20),
    reraise=True,
)
"""Decorates a function that is one whole transaction."""
