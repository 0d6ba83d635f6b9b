"""What an erasure has come to, store by store."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec
from confluent_kafka.admin import AdminClient

from pipeline.erase import topic as topics
from pipeline.erase.viewer import Pending
from pipeline.score.partition import window_hours
from pipeline.score.state import REPEAT_HOURS
from schemas.settings import Settings
from schemas.topics import RAW, REJECTED
from sinks.erasures import Erasure

_FOREVER_MS = "-1"
_VIEWER_HOURS = 24
_TO_LOGS = (
    "views.scored still has the viewer: stop the workers when they are drained, and run "
    "`viewledger erase --logs`"
)


class Place(msgspec.Struct, frozen=True):
    """One store."""

    store: str
    found: str
    done: str
    ages_out: datetime | None = None
    """When what may be left there is gone at the latest."""


class Report(msgspec.Struct, frozen=True):
    """One erasure."""

    erasure_id: int
    state: Literal["complete", "pending"]
    requested_by: str
    requested_at: datetime
    views: int
    pending: list[str]
    """What is still to be done, and how."""
    places: list[Place]


def report(settings: Settings, one: Erasure, pending: Pending) -> Report:
    """The report of an erasure as it is now.

    Raises:
        KafkaException: Kafka does not answer.
    """
    waiting = list(pending.get(one.erasure_id, []))
    if not waiting and one.tables_at is None:
        waiting.append("ClickHouse may still have rows: run `viewledger erase --resume`")
    if one.logs_at is None and one.tables_at is not None:
        waiting.append(_TO_LOGS)
    return Report(
        erasure_id=one.erasure_id,
        state="pending" if one.finished_at is None else "complete",
        requested_by=one.requested_by,
        requested_at=one.requested_at,
        views=one.views,
        pending=waiting,
        places=_places(settings, one),
    )


def _places(settings: Settings, one: Erasure) -> list[Place]:
    admin = topics.connect(settings)
    since = one.requested_at
    remembered = since + timedelta(hours=window_hours(settings) + REPEAT_HOURS)
    if one.tables_at is None:
        stored = Place("ClickHouse views", "not done", "unlinked as far as they are there")
    else:
        found = f"{one.views:,} views" if one.views else "nothing"
        done = "unlinked; files of before are gone in minutes" if one.views else "nothing to do"
        stored = Place("ClickHouse views", found, done)
    logs = {
        (True, True): ("blocks of before", "written anew without the viewer"),
        (True, False): ("nothing", "nothing to do"),
    }.get((one.logs_at is not None, one.views > 0), ("blocks of before", "queued for --logs"))
    return [
        stored,
        Place("ClickHouse, other tables", "nothing", "they hold counts and random event ids"),
        Place("Postgres", "a keyed hash", "kept to know the viewer again; the id is nowhere"),
        Place("Kafka views.scored", *logs),
        Place("Kafka views.raw", "not looked at", "ages out", _gone(admin, RAW, since)),
        Place(
            "Kafka views.rejected",
            "not looked at",
            "ages out, or goes with --logs; nothing new is kept",
            _gone(admin, REJECTED, since),
        ),
        Place(
            "Memory and snapshots of score",
            "64-bit hashes",
            f"of the viewer {_VIEWER_HOURS} h, of paid views longest, as new views come in",
            remembered,
        ),
        Place(
            "Memory of collectors", "not looked at", "ages out in a minute, as new views come in"
        ),
        Place("Redis", "nothing", "it counts hashes of addresses and devices, for 3 days at most"),
        Place("Logs", "nothing", "they name no viewers"),
        Place("Backups", "not looked at", "as long as they are kept"),
    ]


def _gone(admin: AdminClient, topic: str, since: datetime) -> datetime | None:
    """When the last message of before is deleted: its segment is, some time after its end."""
    config = topics.settings_of(admin, topic)
    if config["retention.ms"] == _FOREVER_MS:
        return None
    ms = int(config["retention.ms"]) + int(config["segment.ms"])
    return since + timedelta(milliseconds=ms)
