"""Who sends a request: a page by a publishable key and its origin, a server by its signature."""

import hashlib
import hmac
import re
from collections.abc import Mapping

from pipeline.collector.keyring import Key, Keyring
from pipeline.collector.problems import ProblemError
from schemas.api_key import PREFIX, token_hash

REPLAY_WINDOW_MS = 5 * 60 * 1000

_SECRET_ID = re.compile(r"vlsk_([a-z0-9]{12})")
_TIMESTAMP = re.compile(r"[0-9]{1,15}")
_SIGNATURE = re.compile(r"v1=([0-9a-f]{64})")


def authenticate(
    keyring: Keyring, headers: Mapping[str, str], query_key: str | None, body: bytes, now_ms: int
) -> Key:
    """The key of a request that may be let in.

    Args:
        headers: by lower-case name.
        query_key: `?key=` of the URL; the header X-Viewledger-Key goes before it.
        body: as it was sent, compressed or not.
        now_ms: since 1970.

    Raises:
        ProblemError: 401 without a good key, 403 for a page that may not use it, 503 while no
            key is known; what they say never repeats what was sent.
    """
    if not keyring.loaded:
        raise ProblemError(
            503, "starting", "The keys are not loaded yet; try again.", retry_after_s=2.0
        )
    header = headers.get("x-viewledger-key")
    token = header or query_key
    if not token:
        raise _refused("no_key", "Send your key: ?key=vlpk_… or the header X-Viewledger-Key.")
    if token.startswith(PREFIX["publishable"]):
        key = _known(keyring.publishable(token_hash(token)), now_ms)
        _check_origin(key, headers.get("origin"))
        return key
    if not header:
        raise _refused(
            "not_a_key",
            "What stands in ?key= is no publishable key. Those begin with vlpk_; a secret key "
            "signs, and never belongs into a URL: rotate it if it was in this one.",
        )
    return _signed(keyring, header, headers, body, now_ms)


def _signed(
    keyring: Keyring, token: str, headers: Mapping[str, str], body: bytes, now_ms: int
) -> Key:
    found = _SECRET_ID.fullmatch(token)
    if found is None:
        if token.startswith(PREFIX["secret"]):
            raise _refused(
                "secret_sent",
                "X-Viewledger-Key names a secret key by vlsk_ and its 12 characters of id, and "
                "nothing after them. If the secret itself was sent, rotate the key.",
            )
        raise _refused("not_a_key", "X-Viewledger-Key begins with vlpk_ or vlsk_.")
    key = _known(keyring.secret(found[1]), now_ms)
    timestamp = headers.get("x-viewledger-timestamp", "")
    if _TIMESTAMP.fullmatch(timestamp) is None:
        raise _refused("timestamp", "X-Viewledger-Timestamp must be milliseconds since 1970.")
    ahead_ms = int(timestamp) - now_ms
    signature = _SIGNATURE.fullmatch(headers.get("x-viewledger-signature", ""))
    if signature is None:
        raise _refused(
            "signature", "X-Viewledger-Signature must be v1= and 64 lower-case hexadecimal digits."
        )
    signed = hmac.new(key.secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signed, signature[1]):
        raise _refused(
            "signature",
            "The signature is not that of this body and timestamp. It is HMAC-SHA256, by the part "
            "of the secret key after its id, of timestamp, a dot, and the body as it is sent, "
            "so after compression.",
        )
    # After the signature: whoever reads this holds the key, and needs to mend a clock.
    if abs(ahead_ms) > REPLAY_WINDOW_MS:
        raise _refused(
            "timestamp",
            f"The request was signed {abs(ahead_ms) / 1000:,.0f} s "
            f"{'after' if ahead_ms > 0 else 'before'} now, by the clock here; 300 s are allowed. "
            "Set the clock of the sender, and sign anew when you try again.",
        )
    return key


def _check_origin(key: Key, origin: str | None) -> None:
    if not origin:
        raise ProblemError(
            403,
            "no_origin",
            "A publishable key is for pages, and this request has no Origin. Servers use a "
            "secret key.",
        )
    if origin not in key.origins:
        raise ProblemError(
            403,
            "origin",
            "The page's Origin is none of those that the key is bound to: scheme, host and port "
            "must be the same. `viewledger keys list` shows them.",
        )


def _refused(reason: str, detail: str) -> ProblemError:
    return ProblemError(401, reason, detail)


def _known(key: Key | None, now_ms: int) -> Key:
    if key is None:
        raise _refused(
            "unknown_key",
            "There is no such key, or it was revoked. A new one is good after some seconds.",
        )
    if key.expires_ms is not None and now_ms >= key.expires_ms:
        raise _refused("expired_key", "The key was rotated, and its time is over; use the new one.")
    return key
