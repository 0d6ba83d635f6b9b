"""The keys that secrets are sealed with, as the settings hold them: `id:base64,id:base64`."""

import base64
import binascii
import re

from pydantic import SecretBytes

Keys = dict[str, SecretBytes]
"""Key id → 32 bytes. The first one seals, all of them open."""
KEY_BYTES = 32


def parse_keys(text: str) -> Keys:
    """`2026a:BASE64,2025b:BASE64` as keys.

    Raises:
        ValueError: which entry is wrong and why, by its position: what stands in the wrong
            place may be a key, so nothing is repeated.
    """
    keys: Keys = {}
    for position, entry in enumerate(text.split(","), start=1):
        key_id, colon, encoded = entry.strip().partition(":")
        if not colon:
            raise ValueError(f"key {position} has no id; write id:base64")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,32}", key_id):
            raise ValueError(f"the id of key {position} must be 1 to 32 of A-Z a-z 0-9 . _ -")
        if key_id in keys:
            raise ValueError(f"key {position} has the id of an earlier one")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"key {position} is not base64") from None
        if len(key) != KEY_BYTES:
            raise ValueError(f"key {position} has {len(key)} bytes and needs {KEY_BYTES}")
        keys[key_id] = SecretBytes(key)
    return keys
