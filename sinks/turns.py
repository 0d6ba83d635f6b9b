"""Statements that write rows of a partition, one after the other, whoever sends them."""

from typing import Any

from clickhouse_connect.driver.exceptions import DatabaseError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

_ID_IS_IN_USE, _SESSION_IS_LOCKED = 216, 373


def within(session: str, partition: int, token: str | None) -> dict[str, Any]:
    """Settings of a statement that writes rows of a partition.

    The session makes it fail in another life of the server, the query id while another one
    writes to the same partition, and the token makes it known when it is repeated.
    """
    settings: dict[str, Any] = {
        "session_id": session,
        "session_check": 1,
        "query_id": f"viewledger-store-{partition}",
        "deduplicate_blocks_in_dependent_materialized_views": 1,
        "async_insert": 0,
        # One block in is one part per day out, whatever the profile of the user says.
        "max_insert_threads": 1,
        "max_threads": 1,
        "max_insert_block_size": 1_000_000,
        "min_insert_block_size_rows": 1_000_000,
        "max_partitions_per_insert_block": 0,
    }
    if token is None:
        return settings | {"insert_deduplicate": 0, "deduplicate_insert_select": "disable"}
    return settings | {"insert_deduplicate": 1, "insert_deduplication_token": token}


def _refused(error: BaseException) -> bool:
    return isinstance(error, DatabaseError) and error.code in (_ID_IS_IN_USE, _SESSION_IS_LOCKED)


in_turn = Retrying(
    retry=retry_if_exception(_refused),
    wait=wait_random_exponential(multiplier=0.02, max=0.2),
    stop=stop_after_delay(2),
    reraise=True,
)
"""`in_turn(client.query, …)` sends a statement `within`, and again where it was not its turn.

ClickHouse answers a statement shortly before it forgets its id and lets go of its session: mostly
that of the same store was in the way. What it refuses for that it has not begun, so sending it
later is being slow.
"""
