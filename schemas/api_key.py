"""API keys: what a token looks like, and what the collector knows of a key.

`vlpk_<id>_<rest>` is publishable and stands in pages, `vlsk_<id>_<secret>` is secret and stays on
a server. The id is no secret: it names a key in logs, lists and requests.
"""

import hashlib
import re
import secrets
import string
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

Kind = Literal["publishable", "secret"]
KINDS: tuple[Kind, ...] = ("publishable", "secret")
PREFIX: dict[Kind, str] = {"publishable": "vlpk_", "secret": "vlsk_"}

_ID = string.ascii_lowercase + string.digits
_HOST = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?"
)
_DEFAULT_PORT = {"http": 80, "https": 443}


class Token(NamedTuple):
    """A fresh key, which is shown once. `text` is the whole of it, `rest` the part that signs."""

    key_id: str
    rest: str
    text: str


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key that may be used."""

    key_id: str
    kind: Kind
    origins: frozenset[str] = frozenset()
    """Of pages that may use a publishable key, as browsers write them."""
    campaigns: frozenset[str] = frozenset()
    """None: all."""
    events_per_minute: int | None = None
    """None: that of the settings."""
    secret: bytes = b""
    """What a secret key signs with."""
    token_hash: bytes = b""
    """Of a publishable key."""
    expires_ms: int | None = None
    """Since 1970; of a key that was rotated."""

    def __repr__(self) -> str:
        return f"Key({self.kind} {self.key_id})"

    __str__ = __repr__


def new_token(kind: Kind) -> Token:
    """A token that nobody has."""
    key_id = "".join(secrets.choice(_ID) for _ in range(12))
    rest = secrets.token_urlsafe(32)
    return Token(key_id, rest, f"{PREFIX[kind]}{key_id}_{rest}")


def token_hash(token: str) -> bytes:
    """What is kept of a publishable token: it has 256 random bits, so no salt is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def normal_origin(text: str) -> str:
    """An origin as browsers send it: scheme://host, and the port where it is not the usual one.

    Raises:
        ValueError: it is none, or one that anybody on the way could take; says what to do.
    """
    wrong = f"{text[:200]!r} is no origin"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError(f"{wrong}: {error}") from None
    if "*" in text:
        raise ValueError(f"{wrong}: there are no wildcards; name each origin")
    if parts.scheme not in _DEFAULT_PORT:
        raise ValueError(f"{wrong}: it starts with https://, as in https://www.example.com")
    if parts.path not in ("", "/") or any(char in text for char in "?#@\\"):
        raise ValueError(f"{wrong}: write scheme://host or scheme://host:port and nothing else")
    if not host.isascii():
        raise ValueError(f"{wrong}: write its host as browsers send it, xn--…")
    if ":" not in host and not _HOST.fullmatch(host):  # within brackets urlsplit has looked
        raise ValueError(f"{wrong}: {host!r} is no host")
    if parts.scheme == "http" and host not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError(
            f"{text[:200]!r} is not encrypted, so anybody on the way could use the key; "
            "http is for localhost, 127.0.0.1 and [::1] only"
        )
    bracketed = f"[{host}]" if ":" in host else host
    shown = "" if port in (None, _DEFAULT_PORT[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{bracketed}{shown}"
