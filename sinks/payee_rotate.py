"""Sealing all bank details with the first key, so that older ones can be thrown away."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import SecretBytes

from sinks.payees import aad
from sinks.postgres import Connection
from sinks.sealing import SealError, first_key, seal, unseal

BATCH = 1000
"""Rows of one transaction: what an interruption costs."""


class Rotation(NamedTuple):
    """How many payees were sealed anew, and what is wrong with those that do not open."""

    resealed: int
    unreadable: list[str]


def rotate_key(
    conn: Connection, keys: Mapping[str, SecretBytes], *, batch: int = BATCH
) -> Rotation:
    """Seals with the first key what is sealed with another one, in transactions of `batch` rows.

    What was done stays done if it is interrupted; the next time it goes on with the rest. Neither
    version nor verification of a payee change.
    """
    after, resealed, unreadable = "", 0, list[str]()
    while True:
        with conn.transaction():
            conn.execute("SELECT set_config('viewledger.resealing', 'on', true)")
            rows = conn.execute(
                "SELECT promoter_id, method, key_id, sealed FROM payees"
                " WHERE key_id <> %s AND promoter_id > %s"
                " ORDER BY promoter_id LIMIT %s FOR UPDATE",
                (first_key(keys), after, batch),
            ).fetchall()
            done = []
            for promoter_id, method, key_id, blob in rows:
                belongs = aad(promoter_id, method)
                try:
                    sealed = seal(keys, unseal(keys, key_id, blob, belongs), belongs)
                except SealError as error:
                    unreadable.append(f"bank details of {promoter_id!r}: {error}")
                else:
                    done.append((sealed.blob, sealed.key_id, promoter_id))
            conn.cursor().executemany(
                "UPDATE payees SET sealed = %s, key_id = %s WHERE promoter_id = %s", done
            )
        if not rows:
            return Rotation(resealed, unreadable)
        after, resealed = rows[-1][0], resealed + len(done)
