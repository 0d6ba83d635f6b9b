import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.errors import InsufficientPrivilege, IntegrityError
from support.ledger import name

from schemas.operator_lists import Action, Entity, ListEntry
from schemas.settings import Settings
from sinks.catalogue import catalogue_version, load_catalogue
from sinks.erasures import request
from sinks.operator_lists import (
    OperatorListError,
    ShownEntry,
    add_entry,
    list_entries,
    load_operator_lists,
    remove_entry,
)
from sinks.postgres import Connection, connect

pytestmark = pytest.mark.services


def add(
    conn: Connection, entity: Entity = "viewer", value: str | None = None, **more: Any
) -> ShownEntry:
    action: Action = more.pop("action", "deny")
    given = {"why": "farm", "actor": "ada"} | more
    return add_entry(conn, action, entity, value or f"viewer-{secrets.token_hex(8)}", **given)


def shown(conn: Connection, entry_id: int) -> ShownEntry:
    (found,) = [each for each in list_entries(conn) if each.entry_id == entry_id]
    return found


def changes(conn: Connection, entry_id: int) -> list[tuple[str, str]]:
    return conn.execute(
        "SELECT kind, changed_by FROM operator_list_changes WHERE entry_id = %s ORDER BY change_id",
        (entry_id,),
    ).fetchall()  # type: ignore[return-value]


def in_force(conn: Connection) -> set[ListEntry]:
    return set(load_operator_lists(conn).entries)


def test_an_entry_from_adding_to_removing(conn: Connection) -> None:
    before, version = load_operator_lists(conn).version, catalogue_version(conn)
    entry = add(conn)
    assert entry.value is not None
    assert ListEntry("deny", "viewer", entry.value) in in_force(conn)
    now = load_operator_lists(conn).version
    assert now > before
    assert catalogue_version(conn) > version
    assert load_catalogue(conn).listed.version == now
    assert entry == shown(conn, entry.entry_id)
    assert entry.in_force
    assert remove_entry(conn, entry.entry_id, why="a person", actor="bob") == entry
    ended = shown(conn, entry.entry_id)
    assert (ended.removed_by, ended.removed_why, ended.in_force) == ("bob", "a person", False)
    assert ListEntry("deny", "viewer", entry.value) not in in_force(conn)
    assert load_operator_lists(conn).version > now
    assert changes(conn, entry.entry_id) == [("added", "ada"), ("removed", "bob")]
    with pytest.raises(OperatorListError, match="removed by 'bob' already"):
        remove_entry(conn, entry.entry_id, why="again", actor="bob")
    assert add(conn, value=entry.value, action="allow").entry_id != entry.entry_id


def test_what_is_committed_later_has_a_higher_version(
    books: Settings, conn: Connection, owner: Connection
) -> None:
    entry = add(conn)
    with connect(books) as other, ThreadPoolExecutor(1) as beside:
        with conn.transaction():
            conn.execute("SELECT FROM catalogue_version FOR UPDATE")
            removing = beside.submit(remove_entry, other, entry.entry_id, why="end", actor="bob")
            waits = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
            while not owner.execute(waits, (other.info.backend_pid,)).fetchall():
                assert not removing.done()
            add(conn)
            seen = load_operator_lists(conn).version
        removing.result()
    # Otherwise a scorer that has seen the first one would keep the entry that was removed.
    assert load_operator_lists(conn).version > seen


def test_there_is_one_entry_of_each(conn: Connection) -> None:
    entry = add(conn, "ip", "203.0.113.77/24")
    assert entry.value == "203.0.113.0/24"
    for action in ("allow", "deny"):
        with pytest.raises(OperatorListError, match=f"entry {entry.entry_id} says deny"):
            add(conn, "ip", "203.0.113.0/24", action=action)
    add(conn, "ip", "203.0.113.0/25", action="allow")


def test_an_entry_expires_and_can_be_added_again(conn: Connection, owner: Connection) -> None:
    soon = datetime.now(UTC) + timedelta(days=1)
    entry = add(conn, expires_at=soon)
    assert entry.value is not None
    assert ListEntry("deny", "viewer", entry.value, soon) in in_force(conn)
    with owner.transaction():
        owner.execute("ALTER TABLE operator_lists DISABLE TRIGGER check_change")
        owner.execute(
            "UPDATE operator_lists SET added_at = now() - interval '1 day',"
            " expires_at = now() - interval '1 s' WHERE entry_id = %s",
            (entry.entry_id,),
        )
        owner.execute("ALTER TABLE operator_lists ENABLE TRIGGER check_change")
    assert not shown(conn, entry.entry_id).in_force
    assert entry.value not in {one.value for one in in_force(conn)}
    again = add(conn, value=entry.value, actor="bob")
    assert shown(conn, entry.entry_id).removed_why == "expired"
    assert shown(conn, again.entry_id).in_force


@pytest.mark.parametrize(
    ("entity", "value", "kept"),
    [
        ("ip", "198.51.100.7", "198.51.100.7/32"),
        ("ip", " 198.51.100.0/30 ", "198.51.100.0/30"),
        ("ip", "2001:db8::1", "2001:db8::/64"),
        ("ip", "2001:db8:7::/48", "2001:db8:7::/48"),
        ("device", "A5BDB482CA6C5126", "a5bdb482ca6c5126"),
    ],
)
def test_values_are_written_in_one_way(
    entity: Entity, value: str, kept: str, conn: Connection
) -> None:
    assert add(conn, entity, value).value == kept


@pytest.mark.parametrize(
    ("entity", "value", "why"),
    [
        ("ip", "hello", "neither an address nor"),
        ("ip", "10.0.0.0/7", "wider than a /8"),
        ("ip", "2001::/15", "wider than a /16"),
        ("ip", "fe80::/64", "2000::/3"),
        ("device", "iPhone", "16 hex digits"),
        ("device", "0" * 16, "16 hex digits"),
        ("viewer", "short", "8 to 64"),
        ("viewer", "with\nnewline", "printable"),
        ("promoter", "nobody-of-that-name", "no such promoter"),
    ],
)
def test_values_that_cannot_be(entity: Entity, value: str, why: str, conn: Connection) -> None:
    with pytest.raises(OperatorListError, match=why):
        add(conn, entity, value)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"actor": ""}, "actor"),
        ({"actor": " ada"}, "actor"),
        ({"why": ""}, "why"),
        ({"why": "x" * 501}, "why"),
        ({"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}, "that is past"),
    ],
)
def test_who_why_and_until_when(more: dict[str, Any], why: str, conn: Connection) -> None:
    with pytest.raises(OperatorListError, match=why):
        add(conn, **more)


def test_a_promoter_that_is_known(conn: Connection) -> None:
    promoter = name("p")
    conn.execute("INSERT INTO promoters (promoter_id, status) VALUES (%s, 'active')", (promoter,))
    assert add(conn, "promoter", promoter).value == promoter


def test_an_erased_viewer_is_in_no_entry_and_comes_into_none(conn: Connection) -> None:
    viewer = f"viewer-{secrets.token_hex(8)}"
    first = add(conn, value=viewer, why=f"{viewer} is a farm")
    remove_entry(conn, first.entry_id, why="no", actor="bob")
    second, other = add(conn, value=viewer), add(conn)
    request(conn, viewer, "ticket 4711")
    for entry, who in ((first, "bob"), (second, "viewledger erase")):
        found = shown(conn, entry.entry_id)
        assert (found.value, found.why, found.removed_why) == (None, "erased", "erased")
        assert found.removed_by == who
        assert changes(conn, entry.entry_id)[-1] == ("unlinked", who)
    assert viewer not in {one.value for one in in_force(conn)}
    assert shown(conn, other.entry_id) == other
    rows = conn.execute(
        "SELECT o::text FROM operator_lists o WHERE o::text LIKE %s", (f"%{viewer}%",)
    )
    assert rows.fetchall() == []
    request(conn, viewer, "ticket 4711")
    with pytest.raises(OperatorListError, match="was erased"):
        add(conn, value=viewer)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE operator_lists SET value = '198.51.100.0/24' WHERE entry_id = %s",
        "UPDATE operator_lists SET value = NULL, removed_by = 'x' WHERE entry_id = %s",
        "UPDATE operator_lists SET removed_by = 'x' WHERE entry_id = %s",
        "UPDATE operator_lists SET why = 'x' WHERE entry_id = %s",
        "UPDATE operator_lists SET added_by = 'x' WHERE entry_id = %s",
        "DELETE FROM operator_lists WHERE entry_id = %s",
        "DELETE FROM operator_list_changes WHERE entry_id = %s",
        "UPDATE operator_list_changes SET changed_by = 'x' WHERE entry_id = %s",
        "INSERT INTO operator_list_changes (entry_id, kind, changed_by) VALUES (%s, 'added', 'x')",
    ],
)
def test_what_an_entry_says_stays(sql: str, conn: Connection, owner: Connection) -> None:
    entry = add(conn, "ip", f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::/64")
    for who in (conn, owner):
        with pytest.raises((IntegrityError, InsufficientPrivilege)):
            who.execute(sql.encode(), (entry.entry_id,))
    assert shown(conn, entry.entry_id) == entry
    assert changes(conn, entry.entry_id) == [("added", "ada")]
