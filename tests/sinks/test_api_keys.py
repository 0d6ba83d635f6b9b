import secrets
from datetime import timedelta
from typing import Any

import pytest
from psycopg.errors import InsufficientPrivilege, IntegrityError
from support.ledger import name
from support.payees import new_keys

from schemas.api_key import KINDS, Kind, Token, token_hash
from sinks.api_key_reseal import reseal_keys
from sinks.api_keys import (
    ApiKeyError,
    LiveKeys,
    ShownKey,
    create_key,
    list_keys,
    load_live,
    revoke_key,
    rotate_key,
)
from sinks.postgres import Connection

pytestmark = pytest.mark.services
KEYS = new_keys(secrets.token_hex(4), "older")
PAGES = ["https://www.example.com", "http://localhost:3000"]
HOUR = timedelta(hours=1)


def make(conn: Connection, kind: Kind = "secret", **more: Any) -> Token:
    given = {"name": "Ada's shop", "actor": "ada"} | more
    if kind == "publishable":
        given.setdefault("origins", PAGES)
    return create_key(conn, KEYS, kind, **given)


def shown(conn: Connection, key_id: str) -> ShownKey:
    (found,) = [each for each in list_keys(conn) if each.key_id == key_id]
    return found


def live(conn: Connection) -> LiveKeys:
    return load_live(conn, KEYS)


def changes(conn: Connection, key_id: str) -> list[tuple[str, str]]:
    return conn.execute(
        "SELECT kind, changed_by FROM api_key_changes WHERE key_id = %s ORDER BY change_id",
        (key_id,),
    ).fetchall()  # type: ignore[return-value]


@pytest.fixture
def campaign(conn: Connection) -> str:
    found = name("c")
    conn.execute(
        "INSERT INTO campaigns (campaign_id, currency, budget_micros, starts_at, ends_at, status)"
        " VALUES (%s, 'EUR', 0, '2025-01-01', '2030-01-01', 'active')",
        (found,),
    )
    return found


def test_a_key_is_made_shown_and_loaded(conn: Connection, campaign: str) -> None:
    page = make(conn, "publishable", campaigns=[campaign, campaign], events_per_minute=60)
    server = make(conn)
    found = shown(conn, page.key_id)
    assert (found.kind, found.name, found.created_by) == ("publishable", "Ada's shop", "ada")
    assert (found.origins, found.campaigns) == (sorted(PAGES), [campaign])
    assert (found.events_per_minute, found.expires_at, found.revoked_at) == (60, None, None)
    assert shown(conn, server.key_id).seal_key_id == next(iter(KEYS))
    by_id = {key.key_id: key for key in live(conn).keys}
    assert by_id[page.key_id].token_hash == token_hash(page.text)
    assert by_id[page.key_id].secret == b""
    assert (by_id[page.key_id].origins, by_id[page.key_id].campaigns) == (set(PAGES), {campaign})
    assert by_id[server.key_id].secret == server.rest.encode()
    assert by_id[server.key_id].token_hash == b""
    assert changes(conn, page.key_id) == [("created", "ada")]


@pytest.mark.parametrize("kind", KINDS)
def test_neither_token_nor_secret_is_kept(conn: Connection, owner: Connection, kind: Kind) -> None:
    token = make(conn, kind)
    (row,) = owner.execute(
        "SELECT to_jsonb(api_keys)::text || (SELECT jsonb_agg(c) FROM api_key_changes c)::text"
        " FROM api_keys WHERE key_id = %s",
        (token.key_id,),
    ).fetchall()
    assert token.rest not in row[0]
    assert token.rest.encode().hex() not in row[0]


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("publishable", {"origins": []}, "name their origins"),
        ("publishable", {"origins": ["https://example.com/x"]}, "scheme://host"),
        ("secret", {"origins": PAGES}, "has no origins"),
        ("secret", {"campaigns": ["no-such"]}, "no campaign 'no-such': import it first"),
        ("secret", {"events_per_minute": 0}, "0 events per minute is no quota"),
        ("secret", {"events_per_minute": 2**63}, "is no quota"),
        ("secret", {"name": ""}, "name is ''"),
        ("secret", {"name": "a\nb"}, "name is 'a"),
        ("secret", {"name": "x" * 65}, "1 to 64 printable"),
        ("secret", {"actor": " ada"}, "actor is ' ada'"),
    ],
)
def test_what_cannot_be_is_said(
    conn: Connection, kind: Kind, more: dict[str, Any], said: str
) -> None:
    before = list_keys(conn)
    with pytest.raises(ApiKeyError, match=said):
        make(conn, kind, **more)
    assert list_keys(conn) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_rotated_once_and_its_successor_after_it(
    conn: Connection, kind: Kind, campaign: str
) -> None:
    first = make(conn, kind, campaigns=[campaign], events_per_minute=5)
    second = rotate_key(conn, KEYS, first.key_id, actor="bob", grace=HOUR)
    old, new = shown(conn, first.key_id), shown(conn, second.key_id)
    assert new.rotated_from == first.key_id
    assert (new.kind, new.name, new.origins, new.campaigns, new.events_per_minute) == (
        (old.kind, old.name, old.origins, old.campaigns, old.events_per_minute)
    )
    assert (new.expires_at, new.created_by) == (None, "bob")
    assert old.expires_at == new.created_at + HOUR
    assert {first.key_id, second.key_id} <= {key.key_id for key in live(conn).keys}
    assert second.rest != first.rest
    assert changes(conn, first.key_id) == [("created", "ada"), ("rotated", "bob")]
    with pytest.raises(ApiKeyError, match=f"rotated already; rotate '{second.key_id}' instead"):
        rotate_key(conn, KEYS, first.key_id, actor="bob", grace=HOUR)
    rotate_key(conn, KEYS, second.key_id, actor="bob", grace=timedelta(0))
    expired = {key.key_id: key.expires_ms for key in live(conn).keys}[second.key_id]
    assert expired is not None


@pytest.mark.parametrize("grace", [timedelta(seconds=-1), timedelta(days=91)])
def test_a_grace_has_its_bounds(conn: Connection, grace: timedelta) -> None:
    with pytest.raises(ApiKeyError, match="must be 0 to 90 days"):
        rotate_key(conn, KEYS, make(conn).key_id, actor="bob", grace=grace)


def test_a_revoked_key_is_gone_for_ever(conn: Connection) -> None:
    token = make(conn)
    assert revoke_key(conn, token.key_id, actor="bob").name == "Ada's shop"
    assert token.key_id not in {key.key_id for key in live(conn).keys}
    found = shown(conn, token.key_id)
    assert found.revoked_by == "bob"
    assert changes(conn, token.key_id) == [("created", "ada"), ("revoked", "bob")]
    with pytest.raises(ApiKeyError, match="was revoked by 'bob' at 20"):
        revoke_key(conn, token.key_id, actor="bob")
    with pytest.raises(ApiKeyError, match="was revoked by 'bob'"):
        rotate_key(conn, KEYS, token.key_id, actor="bob", grace=HOUR)
    for unknown in ("", "x", token.text):
        with pytest.raises(ApiKeyError, match="no API key"):
            revoke_key(conn, unknown, actor="bob")


def test_a_rotated_key_can_be_revoked_before_its_time(conn: Connection) -> None:
    token = make(conn)
    rotate_key(conn, KEYS, token.key_id, actor="ada", grace=HOUR)
    revoke_key(conn, token.key_id, actor="ada")
    assert token.key_id not in {key.key_id for key in live(conn).keys}


@pytest.mark.parametrize(
    "change",
    [
        "origins = '{https://evil.example}'",
        "campaigns = '{x}'",
        "events_per_minute = 1",
        "token_hash = sha256('x')",
        "name = 'x'",
        "kind = 'secret'",
        "created_by = 'x'",
        "expires_at = NULL",
        "expires_at = now() + interval '1 year'",
    ],
)
def test_what_a_key_is_does_not_change(conn: Connection, owner: Connection, change: str) -> None:
    token = make(conn, "publishable")
    rotate_key(conn, KEYS, token.key_id, actor="ada", grace=HOUR)
    with pytest.raises(IntegrityError, match="no part that changes"):
        owner.execute(f"UPDATE api_keys SET {change} WHERE key_id = %s".encode(), (token.key_id,))


def test_a_revoked_key_does_not_come_back(conn: Connection, owner: Connection) -> None:
    token = make(conn)
    revoke_key(conn, token.key_id, actor="ada")
    with pytest.raises(IntegrityError, match="was revoked"):
        owner.execute(
            "UPDATE api_keys SET revoked_at = NULL, revoked_by = NULL WHERE key_id = %s",
            (token.key_id,),
        )


@pytest.mark.parametrize(
    ("role", "sql"),
    [
        ("viewledger_read", "SELECT token_hash FROM api_keys"),
        ("viewledger_read", "SELECT sealed FROM api_keys"),
        ("viewledger_read", "SELECT * FROM api_keys"),
        ("viewledger_read", "UPDATE api_keys SET revoked_by = 'x', revoked_at = now()"),
        ("viewledger_app", "UPDATE api_keys SET origins = '{}'"),
        ("viewledger_app", "DELETE FROM api_keys"),
        ("viewledger_app", "DELETE FROM api_key_changes"),
        (
            "viewledger_app",
            "INSERT INTO api_key_changes (key_id, kind, changed_by) VALUES ('x', 'created', 'x')",
        ),
    ],
)
def test_rights(owner: Connection, role: str, sql: str) -> None:
    owner.execute(f"SET ROLE {role}".encode())
    with pytest.raises(InsufficientPrivilege):
        owner.execute(sql.encode())


def test_analysts_see_who_may_send(conn: Connection, owner: Connection) -> None:
    make(conn)
    owner.execute("SET ROLE viewledger_read")
    assert owner.execute("SELECT key_id, name, origins, revoked_at FROM api_keys").fetchall()
    assert owner.execute("SELECT * FROM api_key_changes").fetchall()


def test_a_new_sealing_key_takes_over(conn: Connection) -> None:
    newest = new_keys(secrets.token_hex(4)) | KEYS
    token, revoked, page = make(conn), make(conn), make(conn, "publishable")
    revoke_key(conn, revoked.key_id, actor="ada")
    before = {key.key_id: key for key in live(conn).keys}
    first = reseal_keys(conn, newest)
    assert first.resealed >= 1
    assert reseal_keys(conn, newest) == (0, first.unreadable)
    alone = {next(iter(newest)): newest[next(iter(newest))]}
    after = {key.key_id: key for key in load_live(conn, alone).keys}
    assert after[token.key_id].secret == before[token.key_id].secret
    assert after[page.key_id] == before[page.key_id]
    assert changes(conn, token.key_id)[-1][0] == "resealed"
    assert changes(conn, page.key_id) == [("created", "ada")]


def test_what_does_not_open_is_named_and_left(conn: Connection, owner: Connection) -> None:
    good, swapped = make(conn), make(conn)
    owner.execute(
        "UPDATE api_keys SET sealed = (SELECT sealed FROM api_keys WHERE key_id = %s)"
        " WHERE key_id = %s",
        (good.key_id, swapped.key_id),
    )
    newest = new_keys(secrets.token_hex(4)) | KEYS
    for unreadable in (live(conn).unreadable, reseal_keys(conn, newest).unreadable):
        (said,) = [each for each in unreadable if swapped.key_id in each]
        assert "belongs to another row" in said
        assert good.rest not in said
    assert swapped.key_id not in {key.key_id for key in load_live(conn, newest).keys}
    assert good.key_id in {key.key_id for key in load_live(conn, newest).keys}
