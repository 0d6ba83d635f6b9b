"""API keys in Postgres: made, listed, rotated, revoked, and loaded by the collector."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from psycopg.rows import class_row
from pydantic import SecretBytes

from schemas.api_key import Key, Kind, Token, new_token, normal_origin, token_hash
from sinks.postgres import Connection
from sinks.sealing import Sealed, SealError, seal, unseal

MOST_GRACE = timedelta(days=90)


class ApiKeyError(Exception):
    """What cannot be done with an API key, and why; nothing was changed."""


class ShownKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it may be shown."""

    key_id: str
    kind: Kind
    name: str
    origins: list[str]
    campaigns: list[str]
    events_per_minute: int | None
    created_by: str
    created_at: datetime
    rotated_from: str | None
    expires_at: datetime | None
    revoked_by: str | None
    revoked_at: datetime | None
    seal_key_id: str | None


class LiveKeys(NamedTuple):
    """What the collector may let in, and what is wrong with the keys that do not open."""

    keys: list[Key]
    unreadable: list[str]


def create_key(
    conn: Connection,
    seal_keys: Mapping[str, SecretBytes],
    kind: Kind,
    *,
    name: str,
    actor: str,
    origins: Iterable[str] = (),
    campaigns: Iterable[str] = (),
    events_per_minute: int | None = None,
) -> Token:
    """Makes a key. Its token is kept nowhere: who loses it makes another one.

    Args:
        origins: of the pages that may use a publishable key.
        campaigns: that it may send views of; none: all.
        events_per_minute: None: as the settings have it.

    Raises:
        ApiKeyError: says which of these cannot be, and why.
    """
    try:
        pages = sorted({normal_origin(each) for each in origins})
    except ValueError as error:
        raise ApiKeyError(str(error)) from None
    if kind == "publishable" and not pages:
        raise ApiKeyError("a publishable key is bound to pages: name their origins")
    if kind == "secret" and pages:
        raise ApiKeyError("a secret key has no origins: servers send none")
    if events_per_minute is not None and not 1 <= events_per_minute < 2**63:
        raise ApiKeyError(f"{events_per_minute} events per minute is no quota; it starts at 1")
    _check_text("name", name)
    _check_text("actor", actor)
    wanted = sorted(set(campaigns))
    with conn.transaction():
        _refuse_unknown_campaigns(conn, wanted)
        token = new_token(kind)
        _insert(conn, seal_keys, kind, token, [name, pages, wanted, events_per_minute, actor, None])
    return token


def list_keys(conn: Connection) -> list[ShownKey]:
    """All keys, oldest first."""
    with conn.cursor(row_factory=class_row(ShownKey)) as cursor:
        cursor.execute(_SHOWN + " ORDER BY created_at, key_id")
        return cursor.fetchall()


def rotate_key(
    conn: Connection,
    seal_keys: Mapping[str, SecretBytes],
    key_id: str,
    *,
    actor: str,
    grace: timedelta,
) -> Token:
    """Makes the successor of a key; both are good for as long as `grace`.

    Raises:
        ApiKeyError: no such key, or it was revoked or rotated before.
    """
    _check_text("actor", actor)
    if not timedelta(0) <= grace <= MOST_GRACE:
        raise ApiKeyError(f"the grace is {grace}; it must be 0 to {MOST_GRACE.days} days")
    with conn.transaction():
        old = _living(conn, key_id)
        found = conn.execute(
            "SELECT key_id FROM api_keys WHERE rotated_from = %s", (key_id,)
        ).fetchone()
        if found is not None:
            raise ApiKeyError(f"key {key_id!r} was rotated already; rotate {found[0]!r} instead")
        token = new_token(old.kind)
        same = [old.name, old.origins, old.campaigns, old.events_per_minute]
        _insert(conn, seal_keys, old.kind, token, [*same, actor, key_id])
        conn.execute(
            "UPDATE api_keys SET expires_at = now() + %s WHERE key_id = %s", (grace, key_id)
        )
    return token


def revoke_key(conn: Connection, key_id: str, *, actor: str) -> ShownKey:
    """Ends a key for ever, and returns it as it was.

    Raises:
        ApiKeyError: no such key, or it was revoked before.
    """
    _check_text("actor", actor)
    with conn.transaction():
        old = _living(conn, key_id)
        conn.execute(
            "UPDATE api_keys SET revoked_by = %s, revoked_at = now() WHERE key_id = %s",
            (actor, key_id),
        )
        return old


def load_live(conn: Connection, seal_keys: Mapping[str, SecretBytes]) -> LiveKeys:
    """Every key that is not revoked. Those that expired in the last week are among them, so that
    whoever still uses one can be told.
    """
    keys, unreadable = list[Key](), list[str]()
    for key_id, kind, digest, blob, seal_key_id, origins, campaigns, quota, expires in conn.execute(
        "SELECT key_id, kind, token_hash, sealed, seal_key_id, origins, campaigns,"
        " events_per_minute, expires_at FROM api_keys"
        " WHERE revoked_at IS NULL AND coalesce(expires_at > now() - interval '7 days', true)"
    ):
        secret = b""
        if kind == "secret":
            try:
                secret = unseal(seal_keys, seal_key_id, blob, aad(key_id))
            except SealError as error:
                unreadable.append(f"API key {key_id}: {error}")
                continue
        keys.append(
            Key(
                key_id=key_id,
                kind=kind,
                origins=frozenset(origins),
                campaigns=frozenset(campaigns),
                events_per_minute=quota,
                secret=secret,
                token_hash=digest or b"",
                expires_ms=None if expires is None else int(expires.timestamp() * 1000),
            )
        )
    return LiveKeys(keys, unreadable)


def aad(key_id: str) -> bytes:
    """What a sealed secret belongs to."""
    return msgspec.json.encode(["api_key", key_id])


_SHOWN = f"SELECT {', '.join(ShownKey.__struct_fields__)} FROM api_keys"  # noqa: S608


def _living(conn: Connection, key_id: str) -> ShownKey:
    with conn.cursor(row_factory=class_row(ShownKey)) as cursor:
        cursor.execute(_SHOWN + " WHERE key_id = %s FOR UPDATE", (key_id,))
        found = cursor.fetchone()
    if found is None:
        raise ApiKeyError(f"no API key {key_id[:80]!r}: `viewledger keys list` shows them")
    if found.revoked_at is not None:
        at = found.revoked_at.isoformat(timespec="seconds")
        raise ApiKeyError(f"key {key_id!r} was revoked by {found.revoked_by!r} at {at}")
    return found


def _insert(
    conn: Connection,
    seal_keys: Mapping[str, SecretBytes],
    kind: Kind,
    token: Token,
    rest: Sequence[object],
) -> None:
    sealed: Sealed | tuple[None, None] = (None, None)
    if kind == "secret":
        sealed = seal(seal_keys, token.rest.encode(), aad(token.key_id))
    digest = token_hash(token.text) if kind == "publishable" else None
    conn.execute(
        "INSERT INTO api_keys (key_id, kind, token_hash, seal_key_id, sealed, name, origins,"
        " campaigns, events_per_minute, created_by, rotated_from)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (token.key_id, kind, digest, *sealed, *rest),
    )


def _check_text(what: str, text: str) -> None:
    if not (1 <= len(text) <= 64 and text.isprintable() and text == text.strip()):
        raise ApiKeyError(
            f"{what} is {text[:80]!r}; it must be 1 to 64 printable characters, "
            "no spaces around them"
        )


def _refuse_unknown_campaigns(conn: Connection, wanted: Sequence[str]) -> None:
    unknown = conn.execute(
        "SELECT wanted FROM unnest(%s::text[]) AS wanted"
        " WHERE NOT EXISTS (SELECT FROM campaigns WHERE campaign_id = wanted) ORDER BY wanted",
        (list(wanted),),
    ).fetchall()
    if unknown:
        raise ApiKeyError(
            f"no campaign {', '.join(repr(each) for (each,) in unknown)}: "
            "import it first with `viewledger campaigns import`"
        )
