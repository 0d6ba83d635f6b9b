"""Erasures in Postgres: who was erased, how far it is, and topics that are written anew."""

from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from schemas.erased import Erased, digest
from sinks.postgres import Connection

State = Literal["begun", "copying", "swapping", "switching", "done"]

_NEW_PSEUDONYM = "'erased-' || replace(gen_random_uuid()::text, '-', '')"


class Erasure(msgspec.Struct, frozen=True):
    """How far one erasure is."""

    erasure_id: int
    pseudonym: str
    requested_by: str
    requested_at: datetime
    ends: dict[str, int] | None
    """Partition → end of views.raw when every scorer knew; None until that is noted."""
    views: int
    """Views in ClickHouse under the pseudonym."""
    tables_at: datetime | None
    """Since when ClickHouse has nothing of the viewer."""
    logs_at: datetime | None
    """Since when views.scored has nothing of the viewer."""
    finished_at: datetime | None


class Rewrite(NamedTuple):
    """A topic that is written anew."""

    rewrite_id: int
    topic: str
    state: State
    erasures: list[int]
    plan: dict[str, Any] | None
    digests: dict[str, str] | None
    messages: int
    views: int


def load_erased(conn: Connection) -> Erased:
    """Everybody who was ever erased."""
    (row,) = conn.execute("SELECT secret FROM erasure_key").fetchall()
    found = conn.execute("SELECT digest, pseudonym FROM erasures").fetchall()
    return Erased(bytes(row[0]), {bytes(known): pseudonym for known, pseudonym in found})


def request(conn: Connection, viewer_id: str, by: str) -> int:
    """Notes that a viewer is to be erased, or once more; the id itself is not kept.

    It leaves the operator's lists. From now on scorers replace the viewer within seconds.
    """
    known = digest(load_erased(conn).secret, viewer_id.encode())
    with conn.transaction():
        (row,) = conn.execute(
            f"""
            INSERT INTO erasures (digest, pseudonym, requested_by)
            VALUES (%s, {_NEW_PSEUDONYM}, %s)
            ON CONFLICT (digest) DO UPDATE SET requested_by = excluded.requested_by,
                requested_at = now(), ends = NULL, tables_at = NULL, logs_at = NULL,
                finished_at = NULL
            RETURNING erasure_id
            """.encode(),  # noqa: S608
            (known, by),
        ).fetchall()
        conn.execute(
            "UPDATE operator_lists SET value = NULL, removed_why = 'erased',"
            " removed_by = coalesce(removed_by, 'viewledger erase')"
            " WHERE entity = 'viewer' AND value = %s",
            (viewer_id,),
        )
    erasure_id: int = row[0]
    return erasure_id


def load_erasures(conn: Connection, erasure_id: int | None = None) -> list[Erasure]:
    """One erasure, or all that are not finished, the oldest first."""
    with conn.cursor(row_factory=class_row(Erasure)) as cursor:
        cursor.execute(
            f"SELECT {', '.join(Erasure.__struct_fields__)} FROM erasures"  # noqa: S608
            " WHERE erasure_id = %(id)s OR %(id)s::bigint IS NULL AND finished_at IS NULL"
            " ORDER BY requested_at, erasure_id",
            {"id": erasure_id},
        )
        return cursor.fetchall()


def digest_of(conn: Connection, erasure_id: int) -> bytes:
    """The keyed hash of the viewer of an erasure."""
    (row,) = conn.execute(
        "SELECT digest FROM erasures WHERE erasure_id = %s", (erasure_id,)
    ).fetchall()
    return bytes(row[0])


def is_known(conn: Connection, erasure_id: int, after_s: float) -> bool:
    """Whether it was requested so long ago that every scorer knows of it."""
    (row,) = conn.execute(
        "SELECT now() - requested_at >= make_interval(secs => %s) FROM erasures"
        " WHERE erasure_id = %s",
        (after_s, erasure_id),
    ).fetchall()
    return bool(row[0])


def note_ends(conn: Connection, erasure_id: int, ends: dict[int, int]) -> None:
    """Notes up to where events may be that a scorer took for those of a known viewer."""
    conn.execute("UPDATE erasures SET ends = %s WHERE erasure_id = %s", (Jsonb(ends), erasure_id))


def note_tables(conn: Connection, erasure_id: int, views: int) -> None:
    """Notes that ClickHouse has nothing of the viewer any more.

    Where it had nothing in the first place, neither has views.scored.
    """
    conn.execute(
        "UPDATE erasures SET tables_at = now(), views = %(views)s,"
        " logs_at = CASE WHEN %(views)s = 0 THEN now() ELSE logs_at END"
        " WHERE erasure_id = %(id)s AND tables_at IS NULL",
        {"views": views, "id": erasure_id},
    )
    finish(conn)


def finish(conn: Connection) -> None:
    """Closes what is done everywhere. Late events of the viewer get another pseudonym."""
    conn.execute(
        f"UPDATE erasures SET finished_at = now(), pseudonym = {_NEW_PSEUDONYM}"  # noqa: S608
        " WHERE finished_at IS NULL AND tables_at IS NOT NULL AND logs_at IS NOT NULL".encode()
    )


def queued(conn: Connection) -> list[int]:
    """Erasures that views.scored has to be written anew for."""
    rows = conn.execute("SELECT erasure_id FROM erasures WHERE logs_at IS NULL ORDER BY 1")
    return [row[0] for row in rows]


def unseen(conn: Connection, topic: str) -> bool:
    """Whether anybody was erased after a topic was last written anew."""
    (row,) = conn.execute(
        "SELECT EXISTS (SELECT FROM erasures WHERE requested_at > coalesce("
        "(SELECT max(started_at) FROM log_rewrites WHERE topic = %s AND state = 'done'),"
        " '-infinity'))",
        (topic,),
    ).fetchall()
    return bool(row[0])


def open_rewrite(conn: Connection) -> Rewrite | None:
    """The topic that is being written anew, while workers wait."""
    with conn.cursor(row_factory=class_row(Rewrite)) as cursor:
        cursor.execute(
            f"SELECT {', '.join(Rewrite._fields)} FROM log_rewrites WHERE state <> 'done'"  # noqa: S608
        )
        return cursor.fetchone()


def begin_rewrite(conn: Connection, topic: str, by: str) -> None:
    """Makes workers wait. Those that are at work do not notice: look whether there are any."""
    conn.execute("INSERT INTO log_rewrites (topic, started_by) VALUES (%s, %s)", (topic, by))


def cancel_rewrite(conn: Connection, rewrite_id: int) -> None:
    """Lets workers go on: nothing was touched."""
    conn.execute(
        "DELETE FROM log_rewrites WHERE rewrite_id = %s AND state = 'begun'", (rewrite_id,)
    )


def move_rewrite(conn: Connection, rewrite_id: int, state: State, **columns: Any) -> None:
    """Notes a step that is done; `columns` are those of the table."""
    values = {n: Jsonb(v) if isinstance(v, dict) else v for n, v in columns.items()}
    assignments = "".join(f", {name} = %({name})s" for name in values)
    update = f"UPDATE log_rewrites SET state = %(state)s{assignments} WHERE rewrite_id = %(id)s"  # noqa: S608
    conn.execute(update.encode(), {"state": state, "id": rewrite_id, **values})


def finish_rewrite(conn: Connection, rewrite: Rewrite) -> None:
    """Notes that the topic is whole again and lets workers go on."""
    with conn.transaction():
        conn.execute(
            "UPDATE erasures SET logs_at = now() WHERE erasure_id = ANY (%s) AND logs_at IS NULL",
            (rewrite.erasures,),
        )
        conn.execute(
            "UPDATE log_rewrites SET state = 'done', finished_at = now() WHERE rewrite_id = %s",
            (rewrite.rewrite_id,),
        )
        finish(conn)
