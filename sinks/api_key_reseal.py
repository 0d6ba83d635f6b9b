"""Sealing what API keys sign with by the first sealing key, so that older ones can go."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import SecretBytes

from sinks.api_keys import aad
from sinks.postgres import Connection
from sinks.sealing import SealError, first_key, seal, unseal


class Resealing(NamedTuple):
    """How many API keys were sealed anew, and what is wrong with those that do not open."""

    resealed: int
    unreadable: list[str]


def reseal_keys(conn: Connection, seal_keys: Mapping[str, SecretBytes]) -> Resealing:
    """Seals with the first key what is sealed with another one and may still be used."""
    resealed, unreadable = 0, list[str]()
    with conn.transaction():
        for key_id, seal_key_id, blob in conn.execute(
            "SELECT key_id, seal_key_id, sealed FROM api_keys"
            " WHERE seal_key_id <> %s AND revoked_at IS NULL"
            " AND coalesce(expires_at > now(), true) ORDER BY key_id FOR UPDATE",
            (first_key(seal_keys),),
        ).fetchall():
            try:
                secret = unseal(seal_keys, seal_key_id, blob, aad(key_id))
            except SealError as error:
                unreadable.append(f"API key {key_id}: {error}")
                continue
            conn.execute(
                "UPDATE api_keys SET seal_key_id = %s, sealed = %s WHERE key_id = %s",
                (*seal(seal_keys, secret, aad(key_id)), key_id),
            )
            resealed += 1
    return Resealing(resealed, unreadable)
