"""What runs inside the processes of `support.finance`."""

import itertools
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from clickhouse_connect.driver.httpclient import HttpClient
from confluent_kafka import Producer
from support.corrections import HINDSIGHT
from support.ledger import View, table

from pipeline.cli.main import main
from pipeline.settlement import publish
from pipeline.settlement.judge_again import JudgedAgain, judge_again
from schemas.fencing import Position, Progress
from schemas.settings import settings
from sinks import correct_views
from sinks.book import book, load_progress
from sinks.clickhouse import connect as connect_clickhouse
from sinks.correct import correct
from sinks.correct_follow import Correction, follow
from sinks.correct_types import Change
from sinks.postgres import Connection, connect, connect_url
from sinks.settle import settle

Commands = Callable[[], None]
"""Changes something in the process before the command runs."""


def run(words: list[str], env: dict[str, str], said: Path, patches: list[Commands]) -> None:
    """The command line `words`, said into a file; also `correct`, which is no command."""
    with said.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(env)
    for patch in patches:
        patch()
    if words[0] in ("payouts", "review"):
        sys.argv = ["viewledger", *words]
        main()
        return
    try:
        with connect(settings()) as conn:
            if words[0] == "settle":
                print(settle(conn))
            elif words[0] == "settle-views":
                print(settle_views(conn, *map(Path, words[1:])))
            elif words[0] == "judge-again":
                print(judge_and_settle(conn, datetime.fromisoformat(words[1])))
            else:
                accrual, views, key = words[1:]
                print(correct(conn, int(accrual), int(views), reason="bot", actor="fred", key=key))
    except psycopg.Error as error:
        sys.exit(f"viewledger: Postgres: {error}")


def settle_views(conn: Connection, changes: Path, sent: Path) -> int:
    """Corrects, carries on and releases, as `viewledger settle` does with its own findings."""
    found = msgspec.json.decode(changes.read_bytes(), type=list[Change])
    corrected = correct_views.correct_views(conn, found, HINDSIGHT)
    with connect_clickhouse(settings().url("clickhouse")) as client:
        follow(conn, client, partial(append, sent))
    settle(conn)
    return corrected


def judge_and_settle(conn: Connection, until: datetime) -> JudgedAgain:
    """As `viewledger settle` does."""
    with connect_clickhouse(settings().url("clickhouse")) as client:
        done = judge_again(settings(), conn, client, until)
    settle(conn)
    return done


def append(path: Path, rows: Sequence[Correction]) -> None:
    """Sends corrections to a file."""
    with path.open("a") as file:
        file.writelines(f"{row.event_id}\n" for row in rows)
        file.flush()
        os.fsync(file.fileno())


def die_at_a_new_point(points: set[str]) -> None:
    """Kills this process before the first statement, or after the first COMMIT, not in `points`.

    What it died at is the last that it says, after a NUL.
    """
    seen: Counter[str] = Counter()

    def reach(point: str) -> None:
        seen[point] += 1
        name = f"{point} {seen[point]}"
        if name not in points:
            os.write(1, b"\0" + name.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    _reach_points(reach)


def die_at_step(number: int) -> None:
    """Kills this process at so many points that `die_at_a_new_point` knows."""
    left = itertools.count(number - 1, -1)

    def reach(point: str) -> None:
        if next(left) == 0:
            os.write(1, b"\0" + point.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    _reach_points(reach)


def _reach_points(reach: Callable[[str], None]) -> None:
    """Calls `reach` before each statement, and around each COMMIT, insert and message."""
    execute, command = psycopg.Cursor.execute, psycopg.Connection._exec_command

    def new_execute(self: Any, query: Any, *args: Any, **options: Any) -> Any:
        reach(f"before {query!r}")
        return execute(self, query, *args, **options)

    def new_command(self: Any, text: Any, *args: Any) -> Generator[Any, Any, Any]:
        reach(f"before {text!r}")
        result = yield from command(self, text, *args)
        if b"COMMIT" in bytes(text):
            reach(f"after {text!r}")
        return result

    insert = HttpClient.insert_arrow

    def new_insert(self: Any, *args: Any, **options: Any) -> Any:
        reach("before an insert")
        result = insert(self, *args, **options)
        reach("after an insert")
        return result

    flush = Producer.flush

    class NewProducer(Producer):
        def flush(self, *args: Any) -> int:
            reach("before a flush")
            left: int = flush(self, *args)
            reach("after a flush")
            return left

    publish.Producer = NewProducer  # type: ignore[misc]
    HttpClient.insert_arrow = new_insert  # type: ignore[method-assign]
    psycopg.Cursor.execute = new_execute  # type: ignore[method-assign]
    psycopg.Connection._exec_command = new_command  # type: ignore[method-assign, assignment]


def views_at(raw: int, seed: int, campaigns: list[str], promoters: list[str]) -> list[View]:
    """The views of the event log from `raw` on, as one block; the same whoever asks."""
    chance = random.Random(f"{seed} {raw}")
    campaign, rate = chance.choice(list(zip(campaigns, RATES, strict=True)))
    promoter = chance.choice(promoters)
    return [View(campaign, promoter, "EUR", rate)] * chance.randint(1, 60)


RATES = [1_000, 1_237]
FEES_BP = [0, 1_250]


def keep_booking(
    url: str, partition: int, seed: int, campaigns: list[str], promoters: list[str], pause_s: float
) -> None:
    """Books block after block, as the worker does, until it is killed."""
    while True:
        with suppress(psycopg.OperationalError), connect_url(url, "viewledger-book") as conn:
            at = load_progress(conn).get(partition, Progress())
            while True:
                views = views_at(at.position.next_raw, seed, campaigns, promoters)
                moved = Position(1, "writer", at.position.next_raw + len(views))
                then = Progress(moved, at.next_scored + 1)
                book(conn, partition, at, then, [table(views)])
                at = then
                time.sleep(pause_s)
        time.sleep(0.1)
