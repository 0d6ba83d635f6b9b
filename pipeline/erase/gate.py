"""Where workers wait while a topic is written anew.

A worker passes the gate after it joined its consumer group, and whoever rewrites a topic closes
the gate before looking whether a group has members. So either the worker finds the gate closed,
or it is found at work.
"""

import asyncio

import psycopg

from pipeline.feeds import StartOverError
from schemas.erased import Erased
from sinks.erasures import load_erased, open_rewrite
from sinks.postgres import connect_url


async def pass_gate(postgres: str) -> Erased:
    """Everybody who was erased up to now.

    Raises:
        StartOverError: a topic is being written anew, or Postgres does not answer.
    """
    return await asyncio.to_thread(_pass, postgres)


def _pass(postgres: str) -> Erased:
    try:
        with connect_url(postgres, "viewledger-gate") as conn:
            rewrite = open_rewrite(conn)
            if rewrite is not None:
                raise StartOverError(
                    f"{rewrite.topic} is being written anew; if `viewledger erase --logs` does not "
                    "run any more, run it again"
                )
            return load_erased(conn)
    except psycopg.OperationalError as error:
        raise StartOverError(f"Postgres: {type(error).__name__}") from error
