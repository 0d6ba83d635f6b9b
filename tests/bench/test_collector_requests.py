"""The requests of the bench are such that the collector takes them."""

import hashlib
import hmac
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bench.collector_requests import Wanted, requests
from pipeline.collector.body import unpack
from pipeline.collector.incoming import decode
from schemas.api_key import new_token


def parts(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert int(headers["Content-Length"]) == len(body)
    return first, headers, body


def test_a_page_sends_views_that_are_all_different() -> None:
    token = new_token("publishable").text
    events: list[Any] = []
    for request in requests(Wanted(token, 7, 3, "abcdefghijkl")):
        first, headers, body = parts(request)
        _, target, _ = first.split()
        assert urlsplit(target).query == f"key={token}"
        assert {"Origin", "User-Agent"} <= headers.keys()
        batch = decode(body, lines=False)
        assert not batch.rejected
        events += batch.events
    assert len({event.event_id for event in events}) == len(events) == 21
    assert len({event.viewer_id for event in events}) == 21


def test_a_server_signs_what_it_sends() -> None:
    token = new_token("secret")
    (request,) = requests(Wanted(token.text, 100, 1, "abcdefghijkl"))
    _, headers, body = parts(request)
    signed = headers["X-Viewledger-Timestamp"].encode() + b"." + body
    digest = hmac.new(token.rest.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Viewledger-Signature"] == f"v1={digest}"
    assert token.rest not in str(headers)
    plain = unpack(body, headers["Content-Encoding"])
    assert not decode(plain, lines=False).rejected
    assert all(event["ip"] and event["user_agent"] for event in msgspec.json.decode(plain))
