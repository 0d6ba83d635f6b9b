"""`ledger`: journals by `sinks.ledger.post`, beside a bare loop of INSERTs in the same run."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import psycopg

from bench.book import own_database
from schemas.settings import Settings
from sinks.ledger import Entry, Journal, open_accounts, post
from sinks.postgres import Connection, connect

Work = Literal["own", "hot", "bare"]
WRITERS, BATCHES = (1, 4, 16), (1, 100)
_SECONDS = 1.2


class Accounts(NamedTuple):
    """What a writer moves money between."""

    source: int
    hot: int
    """The same for all writers."""
    goal: int


def measure(settings: Settings) -> dict[str, Any]:
    """Each kind of work by 1, 4 and 16 writers: threads with a connection each.

    `own`: journals of two entries between two accounts of the writer. `hot`: all writers take
    from one account. `bare`: the same rows into a table without triggers and without journals.
    """
    mine = own_database(settings, "bench_ledger")
    with psycopg.connect(mine.url("postgres"), autocommit=True) as owner:
        owner.execute(
            "CREATE TABLE bare (journal_id bigint, account_id bigint, amount_micros bigint,"
            " created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (journal_id, account_id))"
        )
        owner.execute("GRANT INSERT ON bare TO viewledger_app")
    runs = []
    for batch, writers in itertools.product(BATCHES, WRITERS):
        rates = {work: _run(mine, work, writers, batch) for work in ("own", "hot", "bare")}
        runs.append({"writers": writers, "journals_per_transaction": batch, **rates})
    return {"seconds": _SECONDS, "runs": runs}


def _run(settings: Settings, work: Work, writers: int, batch: int) -> float:
    """Journals per second of all writers together."""
    stop, begin = threading.Event(), threading.Barrier(writers + 1)

    def write(number: int) -> int:
        with connect(settings) as conn:
            accounts = _accounts(conn, number)
            begin.wait()
            return _write(conn, work, f"{work}-{writers}-{batch}-{number}", accounts, batch, stop)

    with ThreadPoolExecutor(writers) as pool:
        pending = [pool.submit(write, number) for number in range(writers)]
        begin.wait()
        started = time.perf_counter()
        stop.wait(_SECONDS)
        stop.set()
        done = sum(one.result() for one in pending)
        return done / (time.perf_counter() - started)


def _accounts(conn: Connection, number: int) -> Accounts:
    hot, own = ("hot", "EUR"), (f"writer-{number}", "EUR")
    sources = open_accounts(conn, "campaign_funding", [hot, own])
    goal = open_accounts(conn, "campaign_budget", [own])
    return Accounts(sources[own], sources[hot], goal[own])


def _write(
    conn: Connection, work: Work, name: str, accounts: Accounts, batch: int, stop: threading.Event
) -> int:
    """Writes until told to stop; returns how many journals."""
    done = 0
    number = abs(hash(name)) % 2**31 * 2**31  # the bare rows of one writer
    source = accounts.hot if work == "hot" else accounts.source
    entries = (Entry(source, -1), Entry(accounts.goal, 1))
    while not stop.is_set():
        with conn.transaction():
            if work == "bare":
                ids = range(number + done, number + done + batch)
                conn.execute(
                    "INSERT INTO bare (journal_id, account_id, amount_micros)"
                    " SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[])",
                    (
                        [journal_id for journal_id in ids for _ in entries],
                        [entry.account_id for _ in ids for entry in entries],
                        [entry.amount_micros for _ in ids for entry in entries],
                    ),
                )
            else:
                post(
                    conn,
                    [
                        Journal("funding", f"{name}-{done + n}", "bench", entries)
                        for n in range(batch)
                    ],
                )
        done += batch
    return done
