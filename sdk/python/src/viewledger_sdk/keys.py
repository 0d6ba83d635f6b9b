"""API keys as they are handed to a client."""

import re
from dataclasses import dataclass, field
from typing import Literal

from viewledger_sdk.errors import ConfigError

_token = re.compile(r"vl([ps])k_([a-z0-9]{12})_([A-Za-z0-9_-]{43})").fullmatch


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A token, taken apart."""

    kind: Literal["publishable", "secret"]
    token: str = field(repr=False)
    key_id: str
    secret: bytes = field(repr=False)
    """The ASCII bytes of the last part, with which requests are signed."""


def parse_key(token: str) -> ApiKey:
    """Takes a token apart.

    Raises:
        ConfigError: it is none; the message does not repeat it.
    """
    found = _token(token)
    if found is None:
        raise ConfigError(
            "the key is no viewledger key: it must look like vlsk_<12>_<43 characters> "
            "(server) or vlpk_<12>_<43 characters> (browser), as `viewledger keys create` prints it"
        )
    kind: Literal["publishable", "secret"] = "secret" if found[1] == "s" else "publishable"
    return ApiKey(kind, token, found[2], found[3].encode())
