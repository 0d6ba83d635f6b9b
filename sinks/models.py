"""Which model is champion and which are shadows: facts with a history, in Postgres.

Nothing is overwritten. Promotions are a stack: a rollback takes the newest away and the one before
it judges again; below the first stands the model of the settings.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec
from psycopg.rows import class_row

from schemas.chosen import Chosen, Pin
from sinks.postgres import Connection

Action = Literal["promote", "rollback", "shadow", "unshadow"]

_COLUMNS = "change_id, action, model, version, sha256, actor, note, changed_at"


class ModelsError(Exception):
    """A change is not possible; says why and what to do."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the history."""

    change_id: int
    action: Action
    model: str
    """Of a rollback: the one that was taken away."""
    version: str
    sha256: str
    actor: str
    note: str
    changed_at: datetime

    @property
    def pin(self) -> Pin:
        """The model and its file."""
        return Pin(self.model, self.sha256)


def load_changes(conn: Connection) -> list[Change]:
    """The whole history, oldest first."""
    with conn.cursor(row_factory=class_row(Change)) as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM model_changes ORDER BY change_id")  # noqa: S608
        return list(cursor)


def load_chosen(conn: Connection) -> Chosen:
    """Which models judge and watch now."""
    return chosen_after(load_changes(conn))


def chosen_after(changes: Iterable[Change]) -> Chosen:
    """What a history, oldest first, comes to."""
    champions: list[Pin] = []
    shadows: dict[str, Pin] = {}
    last = 0
    for change in changes:
        last = change.change_id
        match change.action:
            case "promote":
                champions.append(change.pin)
            case "rollback":
                champions.pop()
            case "shadow":
                shadows[change.model] = change.pin
            case "unshadow":
                del shadows[change.model]
    return Chosen(tuple(reversed(champions)), tuple(shadows.values()), last)


def promote(conn: Connection, pin: Pin, version: str, *, actor: str, note: str = "") -> None:
    """Makes a model the champion, for all scorers and within seconds.

    Raises:
        ModelsError: it is the champion, or nobody says who promotes it.
    """
    with conn.transaction():
        champions = _locked(conn, actor).champions
        if champions[:1] == (pin,):
            raise ModelsError(f"{pin.name!r} is the champion")
        _add(conn, "promote", pin, version, actor, note)


def rollback(conn: Connection, leave: Pin, *, actor: str, note: str = "") -> None:
    """Takes back the last promotion that counts.

    Args:
        leave: the champion that is meant, so that two who roll back at once do it once.

    Raises:
        ModelsError: another one is the champion, or nobody says who rolls back.
    """
    with conn.transaction():
        champions = _locked(conn, actor).champions
        if champions[:1] != (leave,):
            raise ModelsError(
                f"{leave.name!r} is not the champion any more: see `viewledger models list`"
            )
        changes = load_changes(conn)
        last = next(one for one in reversed(changes) if one.pin == leave)
        _add(conn, "rollback", leave, last.version, actor, note)


def add_shadow(conn: Connection, pin: Pin, version: str, *, actor: str, note: str = "") -> None:
    """Has a model score every view beside the champion, without a say.

    A shadow of this name whose file is another one is replaced.

    Raises:
        ModelsError: it is a shadow, or nobody says who adds it.
    """
    with conn.transaction():
        shadows = _locked(conn, actor).shadows
        if pin in shadows:
            raise ModelsError(f"{pin.name!r} is a shadow")
        _add(conn, "shadow", pin, version, actor, note)


def remove_shadow(conn: Connection, name: str, *, actor: str, note: str = "") -> None:
    """Ends what `add_shadow` began.

    Raises:
        ModelsError: it is no shadow, or nobody says who removes it.
    """
    with conn.transaction():
        shadows = _locked(conn, actor).shadows
        known = {pin.name: pin for pin in shadows}
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise ModelsError(f"{name!r} is no shadow; there is {there}")
        changes = load_changes(conn)
        last = next(one for one in reversed(changes) if one.pin == known[name])
        _add(conn, "unshadow", known[name], last.version, actor, note)


def _locked(conn: Connection, actor: str) -> Chosen:
    """What is chosen, until the end of the transaction."""
    if not actor.strip():
        raise ModelsError("say who does this: --by NAME")
    conn.execute("SELECT FROM catalogue_version FOR UPDATE")
    return load_chosen(conn)


def _add(conn: Connection, action: Action, pin: Pin, version: str, actor: str, note: str) -> None:
    conn.execute(
        "INSERT INTO model_changes (action, model, version, sha256, actor, note)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (action, pin.name, version, pin.sha256, actor.strip(), note.strip()),
    )
