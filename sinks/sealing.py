"""Sealing what nobody but the holder of the keys may read: AES-256-GCM under named keys."""

import base64
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretBytes

from schemas.seal_keys import KEY_BYTES, Keys, parse_keys
from schemas.settings import Settings

_NONCE_BYTES = 12
"""Random: one key may seal 2^32 times, which is far from what payouts come to."""


class SealError(Exception):
    """What cannot be sealed or opened, and what to do; never what is in it."""


class Sealed(NamedTuple):
    """A sealed text: `blob` is nonce, ciphertext and tag."""

    key_id: str
    blob: bytes


def payee_keys(settings: Settings) -> Keys:
    """The keys of `VIEWLEDGER_PAYEE_KEYS`, the sealing one first.

    Raises:
        SealError: the variable is not set.
    """
    if settings.payee_keys is None:
        raise SealError(
            "bank details are sealed and there is no key: set VIEWLEDGER_PAYEE_KEYS "
            "(`viewledger payees new-key` makes one; keep it, nothing opens without it)"
        )
    return parse_keys(settings.payee_keys.get_secret_value())


def new_key() -> str:
    """A fresh key as `id:base64`."""
    key_id = f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(2)}"
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def first_key(keys: Mapping[str, SecretBytes]) -> str:
    """The id of the key that seals."""
    return next(iter(keys))


def seal(keys: Mapping[str, SecretBytes], plaintext: bytes, aad: bytes) -> Sealed:
    """Seals with the first key.

    Args:
        aad: says what the text belongs to; it opens with the same only.
    """
    key_id = first_key(keys)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return Sealed(key_id, nonce + _cipher(keys, key_id).encrypt(nonce, plaintext, aad))


def unseal(keys: Mapping[str, SecretBytes], key_id: str, blob: bytes, aad: bytes) -> bytes:
    """Opens what `seal` made.

    Raises:
        SealError: the key is not there, or `blob` is not what was sealed with it for `aad`.
    """
    cipher = _cipher(keys, key_id)
    try:
        return cipher.decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], aad)
    except (InvalidTag, ValueError):  # ValueError: too short for a nonce
        raise SealError(
            f"it does not open with key {key_id!r}: it was altered, belongs to another row, "
            "or the key under this id is another one"
        ) from None


def _cipher(keys: Mapping[str, SecretBytes], key_id: str) -> AESGCM:
    if key_id not in keys:
        raise SealError(
            f"it is sealed with key {key_id!r}, which is not among the sealing keys that are set "
            f"(there: {', '.join(keys)}); add it behind the others"
        )
    return AESGCM(keys[key_id].get_secret_value())
