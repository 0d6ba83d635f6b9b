"""The operator's own lists in Postgres: added and removed by somebody, for a reason."""

from datetime import UTC, datetime
from ipaddress import IPv6Network, ip_network

import msgspec
from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from schemas.operator_lists import Action, Entity, ListEntry, OperatorLists
from sinks.erasures import load_erased
from sinks.postgres import Connection

_WIDEST = {4: 8, 6: 16}
"""A wider range is a slip of the keyboard."""
_NARROWEST_V6 = 64
_GLOBAL_V6 = IPv6Network("2000::/3")
_ACTOR_LENGTH, _WHY_LENGTH = 64, 500


class OperatorListError(Exception):
    """What cannot be done with an entry, and why; nothing was changed."""


class ShownEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry, in force or not any more."""

    entry_id: int
    action: Action
    entity: Entity
    value: str | None
    """None where a viewer was erased."""
    why: str
    added_by: str
    added_at: datetime
    expires_at: datetime | None
    removed_by: str | None
    removed_why: str | None
    removed_at: datetime | None

    @property
    def in_force(self) -> bool:
        """Whether views are judged by it now."""
        expired = self.expires_at is not None and self.expires_at <= datetime.now(UTC)
        return self.removed_at is None and not expired


_COLUMNS = ", ".join(ShownEntry.__struct_fields__)


def add_entry(
    conn: Connection,
    action: Action,
    entity: Entity,
    value: str,
    *,
    why: str,
    actor: str,
    expires_at: datetime | None = None,
) -> ShownEntry:
    """Adds an entry; scorers have it within five seconds.

    Args:
        value: an address or CIDR range, 16 hex digits of a device, or an id.
        expires_at: None: until it is removed.

    Raises:
        OperatorListError: it cannot be, or there is one for this already.
    """
    _check("actor", actor, _ACTOR_LENGTH)
    _check("why", why, _WHY_LENGTH)
    wanted = normal_value(entity, value)
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise OperatorListError(f"it would expire at {expires_at:%Y-%m-%d %H:%M} UTC: that is past")
    try:
        with conn.transaction():
            # An erasure raises the version, too: either it sees this entry, or this sees it.
            conn.execute("SELECT FROM catalogue_version FOR UPDATE")
            _refuse_strangers(conn, entity, wanted)
            conn.execute(
                "UPDATE operator_lists SET removed_by = %s, removed_why = 'expired'"
                " WHERE entity = %s AND value = %s AND removed_at IS NULL AND expires_at <= now()",
                (actor, entity, wanted),
            )
            (row,) = conn.execute(
                "INSERT INTO operator_lists (action, entity, value, why, added_by, expires_at)"
                " VALUES (%s, %s, %s, %s, %s, %s) RETURNING entry_id",
                (action, entity, wanted, why, actor, expires_at),
            ).fetchall()
            return _entry(conn, row[0])
    except UniqueViolation:
        (row,) = conn.execute(
            "SELECT entry_id, action, added_by FROM operator_lists"
            " WHERE entity = %s AND value = %s AND removed_at IS NULL",
            (entity, wanted),
        ).fetchall()
        raise OperatorListError(
            f"entry {row[0]} says {row[1]} for this {entity} already, by {row[2]}: remove it first"
        ) from None


def remove_entry(conn: Connection, entry_id: int, *, why: str, actor: str) -> ShownEntry:
    """Ends an entry, and returns it as it was.

    Raises:
        OperatorListError: no such entry, or it was removed before.
    """
    _check("actor", actor, _ACTOR_LENGTH)
    _check("why", why, _WHY_LENGTH)
    with conn.transaction():
        # One change at a time: what is committed later has to have the higher version.
        conn.execute("SELECT FROM catalogue_version FOR UPDATE")
        conn.execute("SELECT FROM operator_lists WHERE entry_id = %s FOR UPDATE", (entry_id,))
        entry = _entry(conn, entry_id)
        if entry.removed_at is not None:
            raise OperatorListError(f"entry {entry_id} was removed by {entry.removed_by!r} already")
        conn.execute(
            "UPDATE operator_lists SET removed_by = %s, removed_why = %s WHERE entry_id = %s",
            (actor, why, entry_id),
        )
        return entry


def list_entries(conn: Connection) -> list[ShownEntry]:
    """All entries that ever were, oldest first."""
    with conn.cursor(row_factory=class_row(ShownEntry)) as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM operator_lists ORDER BY entry_id")  # noqa: S608
        return cursor.fetchall()


def load_operator_lists(conn: Connection) -> OperatorLists:
    """The entries that are in force; called in a transaction that sees one moment."""
    ((version,),) = conn.execute(
        "SELECT coalesce(max(change_id), 0) FROM operator_list_changes"
    ).fetchall()
    with conn.cursor(row_factory=class_row(ListEntry)) as cursor:
        cursor.execute(
            "SELECT action, entity, value, expires_at FROM operator_lists"
            " WHERE removed_at IS NULL AND coalesce(expires_at > now(), true)"
        )
        return OperatorLists(version, tuple(cursor))


def normal_value(entity: Entity, value: str) -> str:
    """The one way in which a value is written.

    Raises:
        OperatorListError: it is none of this entity.
    """
    if entity == "ip":
        return _normal_range(value)
    if entity == "device":
        device = value.lower()
        if len(device) != 16 or not set(device) <= set("0123456789abcdef") or not int(device, 16):
            raise OperatorListError(
                "a device has 16 hex digits: `viewledger lists event EVENT_ID` shows that of a view"
            )
        return device
    least = 8 if entity == "viewer" else 1
    if not (least <= len(value) <= 64 and value.isprintable()):
        raise OperatorListError(
            f"a {entity} has an id of {least} to 64 printable characters, this one has {len(value)}"
        )
    return value


def _normal_range(text: str) -> str:
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        raise OperatorListError(
            f"{text[:80]!r} is neither an address nor a range such as 203.0.113.0/24"
        ) from None
    if network.version == 6 and network.prefixlen > _NARROWEST_V6:
        # Judging takes the /64 for "the same place", and so do keyed hashes.
        network = network.supernet(new_prefix=_NARROWEST_V6)
    if network.prefixlen < _WIDEST[network.version]:
        raise OperatorListError(
            f"{network} is wider than a /{_WIDEST[network.version]}: add the ranges that you mean"
        )
    if isinstance(network, IPv6Network) and not network.subnet_of(_GLOBAL_V6):
        raise OperatorListError(f"{network} is not in {_GLOBAL_V6}, where addresses of IPv6 are")
    return str(network)


def _refuse_strangers(conn: Connection, entity: Entity, value: str) -> None:
    if entity == "promoter":
        if not conn.execute("SELECT FROM promoters WHERE promoter_id = %s", (value,)).fetchall():
            raise OperatorListError(f"{value}: no such promoter; import it first")
    elif entity == "viewer" and load_erased(conn).pseudonym_of(value.encode()) is not None:
        raise OperatorListError("this viewer was erased, and the id may not be kept again")


def _entry(conn: Connection, entry_id: int) -> ShownEntry:
    with conn.cursor(row_factory=class_row(ShownEntry)) as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM operator_lists WHERE entry_id = %s",  # noqa: S608
            (entry_id,),
        )
        found = cursor.fetchone()
    if found is None:
        raise OperatorListError(f"there is no entry {entry_id}: `viewledger lists show` has them")
    return found


def _check(name: str, text: str, most: int) -> None:
    if not (1 <= len(text) <= most and text.isprintable() and text == text.strip()):
        raise OperatorListError(
            f"{name} is {text[:80]!r}; it must be 1 to {most} printable characters, "
            "no spaces around them"
        )
