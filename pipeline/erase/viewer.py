"""`erase --viewer` and `erase --resume`: out of ClickHouse, once everything in flight is there."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from pipeline.drain import find_behind
from pipeline.offsets import topic_ranges
from schemas.erased import Erased
from schemas.settings import Settings
from schemas.topics import RAW
from sinks import clickhouse, erasures, postgres
from sinks.erase_views import count_unlinked, unlink_stored
from sinks.erasures import Erasure
from sinks.postgres import Connection

KNOWN_AFTER_S = 6.0
"""By then every scorer has a catalogue with the request: it takes one that is 5 s old at most."""
_POLL_S = 0.25

Pending = Mapping[int, list[str]]
"""By erasure: what is still to come."""


class RunningError(Exception):
    """Another erasure runs."""


@contextmanager
def only_one(settings: Settings) -> Iterator[Connection]:
    """A connection of the one command that erases.

    Raises:
        RunningError: there is another one.
    """
    with postgres.connect(settings, "viewledger-erase") as conn:
        if conn.execute("SELECT pg_try_advisory_lock(hashtext('erase'))").fetchone() != (True,):
            raise RunningError("another `viewledger erase` is running; wait for it")
        yield conn


def erase_stored(
    settings: Settings,
    conn: Connection,
    wait_s: float,
    viewers: Mapping[int, str],
    show: Callable[[str], None] = lambda what: None,
) -> Pending:
    """Unlinks the viewers of all erasures that ClickHouse still has to do, as far as it can be.

    Args:
        wait_s: how long to wait for events that are on their way.
        viewers: ids by erasure, where known: they are found faster.

    Raises:
        EraseError: rows do not go away.
        KafkaException, clickhouse_connect.driver.exceptions.Error, psycopg.Error: a service
            does not answer.
    """
    deadline = time.monotonic() + wait_s
    client = clickhouse.connect(settings.url("clickhouse"))
    first = True
    while todo := [one for one in erasures.load_erasures(conn) if one.tables_at is None]:
        pending = {one.erasure_id: _pending(settings, conn, one) for one in todo}
        done = [one for one in todo if not pending[one.erasure_id]]
        _unlink(conn, client, todo if first else done, viewers)
        for one in done:
            erasures.note_tables(conn, one.erasure_id, count_unlinked(client, one.pseudonym))
        left = {known: why for known, why in pending.items() if why}
        if not left or time.monotonic() >= deadline:
            return left
        first = False
        show(next(iter(left.values()))[0])
        time.sleep(_POLL_S)
    return {}


def sweep(settings: Settings, conn: Connection) -> int:
    """Looks for everybody who was ever erased; returns how many rows had come back."""
    client = clickhouse.connect(settings.url("clickhouse"))
    return unlink_stored(client, erasures.load_erased(conn))


def _pending(settings: Settings, conn: Connection, one: Erasure) -> list[str]:
    """What has to be in ClickHouse before it can be said that nothing of a viewer is."""
    if one.ends is None:
        if not erasures.is_known(conn, one.erasure_id, KNOWN_AFTER_S):
            return ["scorers may not know of the request yet: a few seconds"]
        ends = {partition: end for partition, (_, end) in topic_ranges(settings, RAW).items()}
        erasures.note_ends(conn, one.erasure_id, ends)
    else:
        ends = {int(partition): end for partition, end in one.ends.items()}
    return [
        f"ClickHouse is at {behind.next_raw:,} in partition {behind.partition} and has to pass "
        f"{behind.end:,}: `viewledger erase --resume` when `store` has come so far"
        for behind in find_behind(settings, ends)
        if behind.sink == "store"
    ]


def _unlink(
    conn: Connection,
    client: clickhouse.Client,
    todo: Collection[Erasure],
    viewers: Mapping[int, str],
) -> None:
    if not todo:
        return
    everybody = erasures.load_erased(conn)
    mine = {erasures.digest_of(conn, one.erasure_id) for one in todo}
    erased = Erased(everybody.secret, {d: everybody.pseudonyms[d] for d in mine})
    known = [viewers[one.erasure_id] for one in todo if one.erasure_id in viewers]
    unlink_stored(client, erased, known if len(known) == len(todo) else ())
