"""Judges views again, hour by hour of the log, before their money is released."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from models.hindsight import RULES_VERSION
from models.judge import Judge
from models.lists_in_use import ListsInUse
from pipeline.offsets import offsets_at
from pipeline.score.policy import POLICY_VERSION
from pipeline.settlement.held import Features
from pipeline.settlement.hour import HOUR, judge_hour
from pipeline.settlement.publish import publisher
from schemas.settings import Settings
from schemas.topics import RAW
from sinks import store
from sinks.catalogue import load_catalogue
from sinks.clickhouse import Client
from sinks.correct_follow import follow
from sinks.correct_views import Source, correct_views, judged_until
from sinks.judging import judging
from sinks.postgres import Connection
from sinks.settle import SettleError

_OLDEST = timedelta(days=31)
"""What is older when settlement runs for the first time is not judged again."""


class JudgedAgain(NamedTuple):
    """What a settlement looked at."""

    hours: int
    """Of the log, with views in them."""
    views: int
    corrected: int


def judge_again(
    settings: Settings,
    conn: Connection,
    client: Client,
    until: datetime | None = None,
    show: Callable[[JudgedAgain], None] = lambda done: None,
) -> JudgedAgain:
    """Judges all hours that have their look-ahead behind them at `until`, and corrects.

    May be killed and repeated at any time: an hour is one transaction, and what is committed is
    carried to the topic and to ClickHouse by whoever comes next.

    Args:
        conn: a connection that is in no transaction.
        until: now, by the clock of the database, if None.

    Raises:
        SettleError: ClickHouse does not have these hours yet; model or lists are missing.
    """
    publish = publisher(settings)
    follow(conn, client, publish)
    look_ahead = timedelta(minutes=settings.settlement_look_ahead_minutes)
    done = JudgedAgain(0, 0, 0)
    reach = settings.repeat_reach
    end = _floor((until or _now(conn)) - look_ahead)
    before = judged_until(conn)
    _check_stored(settings, client, end + look_ahead)  # first: what is missing has no hours
    hours = _hours(client, before or end - _OLDEST, end)
    if hours:
        judge = _judge(settings, conn)
        source = Source(
            "hindsight",
            "settlement",
            "judged again with what came later",
            judge.versions["model_version"],
            POLICY_VERSION,
            judge.versions["lists_version"],
            RULES_VERSION,
        )
        features = Features(client)
        for hour, views in hours:
            with judging(conn):
                follow(conn, client, publish)  # what a review decided meanwhile
                changes = judge_hour(client, judge, features, hour, look_ahead, reach)
                corrected = correct_views(conn, changes, source, (before, hour + HOUR))
            before = hour + HOUR
            follow(conn, client, publish)
            done = JudgedAgain(done.hours + 1, done.views + views, done.corrected + corrected)
            show(done)
    return done


def _judge(settings: Settings, conn: Connection) -> Judge:
    judge = Judge(settings.model, settings.models, ListsInUse.of_settings(settings))
    catalogue = load_catalogue(conn)

    async def follow_catalogue() -> None:
        await judge.follow(catalogue.models)
        await judge.lists.follow(catalogue.listed)

    asyncio.run(follow_catalogue())
    missing = [name for name, version in judge.versions.items() if version == "unavailable"]
    if missing:
        raise SettleError(
            f"{', '.join(missing)}: unavailable, so nothing can be judged again, and nothing is "
            "released; the log says why"
        )
    return judge


def _check_stored(settings: Settings, client: Client, until: datetime) -> None:
    """All that was in the log at this time is in ClickHouse: else hours would look emptier."""
    at = store.load_progress(client)
    for partition, offset in offsets_at(settings, RAW, int(until.timestamp() * 1000)).items():
        stored = at[partition].position.next_raw if partition in at else 0
        if stored < offset:
            raise SettleError(
                f"ClickHouse is {offset - stored:,} events behind in partition {partition}: "
                "run `viewledger drain`, then settle"
            )


def _hours(client: Client, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
    """Hours of the log with views in `[start, end)`, and how many."""
    rows = client.query(
        "SELECT toUnixTimestamp(toStartOfHour(log_time)) AS hour, count() FROM views"
        " WHERE log_time >= {start:DateTime64(3, 'UTC')} AND log_time < {end:DateTime64(3, 'UTC')}"
        " GROUP BY hour ORDER BY hour",
        parameters={"start": start, "end": end},
    ).result_rows
    return [(datetime.fromtimestamp(hour, UTC), views) for hour, views in rows]


def _floor(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _now(conn: Connection) -> datetime:
    ((now,),) = conn.execute("SELECT now()").fetchall()
    found: datetime = now
    return found
