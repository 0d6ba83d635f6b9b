"""What collectors hash addresses with: one random salt per UTC day, the same for all of them."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import date

import msgspec
from pydantic import SecretBytes

from sinks.postgres import Connection
from sinks.sealing import seal, unseal

SALT_BYTES = 32

_DELETE_OLD = "DELETE FROM address_salts WHERE day < (now() AT TIME ZONE 'UTC')::date - 1"


def obtain_salts(
    conn: Connection, keys: Mapping[str, SecretBytes], days: Sequence[date]
) -> dict[date, bytes]:
    """The salts of some days, made where nobody has yet; deletes those that are over.

    Whoever comes first makes a salt, everybody gets the same.

    Raises:
        SealError: one was sealed with a key that is not there.
        psycopg.errors.IntegrityConstraintViolation: a day is more than a day off the clock of
            Postgres: its salt may have been deleted, and is not made again.
        psycopg.Error: Postgres is away.
    """
    conn.execute(_DELETE_OLD)
    found = _load(conn, days)
    missing = [day for day in days if day not in found]
    for day in missing:
        sealed = seal(keys, secrets.token_bytes(SALT_BYTES), _aad(day))
        conn.execute(
            "INSERT INTO address_salts (day, sealed, seal_key_id) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (day, sealed.blob, sealed.key_id),
        )
    if missing:
        found = _load(conn, days)
    return {day: unseal(keys, key_id, blob, _aad(day)) for day, (key_id, blob) in found.items()}


def _load(conn: Connection, days: Sequence[date]) -> dict[date, tuple[str, bytes]]:
    rows = conn.execute(
        "SELECT day, seal_key_id, sealed FROM address_salts WHERE day = ANY (%s)", (list(days),)
    )
    return {day: (key_id, bytes(blob)) for day, key_id, blob in rows}


def _aad(day: date) -> bytes:
    return msgspec.json.encode(["address_salt", day])
