"""docs/protocol.md as plain functions: requests, signatures, pauses. No input or output."""

import gzip
import hashlib
import hmac
import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple
from urllib.parse import urlsplit

from viewledger_sdk.errors import ConfigError
from viewledger_sdk.keys import ApiKey

PATH = "/v1/views"
MAX_EVENTS = 500
MAX_BODY_BYTES = 1024 * 1024
"""Of a request, after decompression."""
BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 60.0
GZIP_FROM_BYTES = 1024


class Request(NamedTuple):
    """A POST as it goes over the wire."""

    url: str
    headers: dict[str, str]
    body: bytes


def views_url(endpoint: str) -> str:
    """Where events are sent to: the endpoint, with the path of the protocol unless it has it.

    Raises:
        ConfigError: it is no URL of http or https.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"the endpoint must look like https://collect.example, not {endpoint!r}")
    base = endpoint.rstrip("/")
    return base if base.endswith(PATH) else base + PATH


def sign(secret: bytes, timestamp_ms: int, body: bytes) -> str:
    """The value of `X-Viewledger-Signature` for a body as it goes over the wire."""
    message = str(timestamp_ms).encode() + b"." + body
    return "v1=" + hmac.new(secret, message, hashlib.sha256).hexdigest()


def stamp(head: bytes, sent_at: int) -> bytes:
    """An event of `viewledger_sdk.view.encode`, completed for one attempt."""
    return b'%s,"sent_at":%d}' % (head, sent_at)


def build_request(
    url: str,
    key: ApiKey,
    lines: Iterable[bytes],
    timestamp_ms: int,
    origin: str | None = None,
    gzip_from: int = GZIP_FROM_BYTES,
) -> Request:
    """The request that sends events.

    Args:
        lines: the JSON of each event, without line breaks.
        timestamp_ms: of the system's clock, for the signature.
        origin: with a publishable key, the origin it is bound to.
        gzip_from: bodies of so many bytes or more are compressed.
    """
    body = b"\n".join(lines)
    headers = {"Content-Type": "application/x-ndjson"}
    if len(body) >= gzip_from:
        body = gzip.compress(body, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    if key.kind == "publishable":
        headers["X-Viewledger-Key"] = key.token
        if origin is not None:
            headers["Origin"] = origin
    else:
        headers["X-Viewledger-Key"] = f"vlsk_{key.key_id}"
        headers["X-Viewledger-Timestamp"] = str(timestamp_ms)
        headers["X-Viewledger-Signature"] = sign(key.secret, timestamp_ms, body)
    return Request(url, headers, body)


def split(
    sizes: Sequence[int], max_events: int = MAX_EVENTS, max_bytes: int = MAX_BODY_BYTES
) -> list[int]:
    """How many events each batch has, in order, if every batch takes as many as it can.

    Args:
        sizes: bytes of each event; each needs one more for its line break.
    """
    batches: list[int] = []
    done = 0
    while done < len(sizes):
        batches.append(fit(islice(sizes, done, None), max_events, max_bytes))
        done += batches[-1]
    return batches


def fit(sizes: Iterable[int], max_events: int, max_bytes: int) -> int:
    """How many of the first events go into one batch: at least one, if there is one."""
    count = used = 0
    for size in islice(sizes, max_events):
        used += size + 1
        if count and used > max_bytes:
            break
        count += 1
    return count


def backoff_bound_s(attempt: int, base_s: float | None = None, cap_s: float | None = None) -> float:
    """The longest pause after so many failed attempts (1 or more) of a batch.

    The pause itself is drawn evenly between 0 and this.
    """
    base_s = BACKOFF_BASE_S if base_s is None else base_s
    cap_s = BACKOFF_CAP_S if cap_s is None else cap_s
    return min(cap_s, math.ldexp(base_s, min(attempt - 1, 30)))
