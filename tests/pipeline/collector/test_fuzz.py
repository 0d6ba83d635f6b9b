"""Whatever is sent, the door answers in its own words, says nothing of itself, and stays up.

Longer, and each time others: FUZZ_EXAMPLES=5000 pytest tests/pipeline/collector/test_fuzz.py
"""

import http.client
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.door import ORIGIN, Keys, fresh, send_as_page, signed
from support.own_collector import OwnCollector, own_collector, until

from pipeline.collector.problems import MEDIA_TYPE
from schemas.settings import Settings

pytestmark = pytest.mark.services

_LONG = int(os.environ.get("FUZZ_EXAMPLES", "0"))
_SCHEMA = schemathesis.openapi.from_path(
    Path(__file__).parents[3] / "schemas" / "openapi.json",
    config=schemathesis.Config.from_dict({"seed": 1} if not _LONG else {}),
)
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_INTERNALS = re.compile(
    r"Traceback|\.py\b|site-packages|0x[0-9a-f]{8}|127\.0\.0\.1|localhost|/tmp/|msgspec|litestar|"
    r"granian|librdkafka|confluent|psycopg|pipeline\.|schemas\.|sinks\.",
    re.IGNORECASE,
)


@schemathesis.serializer("application/x-ndjson")
def _as_lines(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def bounded(examples: int) -> Any:
    """Settings of Hypothesis: the same examples each time, unless many are asked for."""
    return settings(
        max_examples=_LONG or examples,
        derandomize=not _LONG,
        deadline=None,
        phases=set(Phase) - {Phase.explain},
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def fuzzed(
    stack: Settings, keys: Keys, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OwnCollector]:
    """Alive after every test, and without one request that failed by its own fault."""
    changes = {"address_events_per_minute": 10**9, "key_events_per_minute": 10**9}
    with own_collector(stack, tmp_path_factory.mktemp("fuzz"), **changes) as found:
        until(lambda: found.status("/readyz") == 200)
        yield found


@pytest.fixture(autouse=True)
def _stays_up(fuzzed: OwnCollector, keys: Keys) -> Iterator[None]:
    yield
    assert fuzzed.process.poll() is None
    assert send_as_page(fuzzed.url, keys, fresh()).status_code == 202
    log = fuzzed.log.read_text()
    assert "request failed" not in log
    assert "Traceback" not in log
    until(lambda: fuzzed.metric("viewledger_collector_bytes") == 0)


def check(status: int, headers: Any, body: bytes, keys: Keys) -> None:
    """Of any answer."""
    said = f"{headers}\n{body.decode('latin-1')}"
    assert status < 500 or status == 503, said
    assert not _INTERNALS.search(said), said
    assert keys.page not in said
    assert keys.server.rpartition("_")[2] not in said
    if status >= 400 and body:
        assert headers["content-type"] == MEDIA_TYPE, said
        problem = json.loads(body)
        known = {"type", "title", "status", "detail", "request_id"}
        assert known <= problem.keys() <= known | {"accepted", "rejected"}
        assert problem["status"] == status
        assert problem["type"].startswith("urn:viewledger:problem:")
        assert problem["request_id"] == headers["x-request-id"]


class Signed(requests.auth.AuthBase):
    """Signs whatever body there is."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        of_body = signed(self._token, body.encode() if isinstance(body, str) else body)
        del of_body["Content-Type"]
        request.headers.update(of_body)
        return request


@pytest.mark.parametrize("kind", ["page", "server", "nobody"])
@_SCHEMA.parametrize()
@bounded(40)
def test_answers_are_those_of_the_contract(
    case: schemathesis.Case, fuzzed: OwnCollector, keys: Keys, kind: str
) -> None:
    options: dict[str, Any] = {
        "page": {"headers": {"X-Viewledger-Key": keys.page, "Origin": ORIGIN}},
        "server": {"auth": Signed(keys.server)},
        "nobody": {},
    }[kind]
    answer = case.call(base_url=fuzzed.url, **options)
    case.validate_response(answer, checks=_CHECKS)
    check(
        answer.status_code,
        {k.lower(): v[0] for k, v in answer.headers.items()},
        answer.content,
        keys,
    )


_token = st.text("abcdefgh-ABC_09.~!", min_size=1, max_size=12)
_value = st.one_of(
    st.sampled_from(
        ["", "0", "-1", "99999999999999999999", "1", "gzip", "br", "zstd", "deflate", "gzip, br",
         "application/json", "application/x-ndjson", "text/plain; charset=utf-16", "*/*", "null",
         "application/json; charset=\"", "v1=" + "0" * 64, f"00-{'a' * 32}-{'b' * 16}-01",
         "for=\"[::1]:80\";proto=https", "1.2.3.4, unknown, ::ffff:1.2.3.4", ORIGIN, "null", "?1"]
    ),
    st.text(
        st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60
    ),
)  # fmt: skip
_name = st.one_of(
    st.sampled_from(
        ["Content-Type", "Content-Encoding", "X-Viewledger-Key", "X-Viewledger-Timestamp",
         "X-Viewledger-Signature", "X-Request-Id", "traceparent", "tracestate", "Origin", "DNT",
         "Sec-GPC", "Sec-CH-UA", "User-Agent", "X-Forwarded-For", "Forwarded", "Accept",
         "Access-Control-Request-Method", "Cookie", "Authorization", "Range", "If-None-Match"]
    ),
    _token,
)  # fmt: skip
_path = st.one_of(
    st.sampled_from(["/v1/views", "/v1/views/", "/", "//", "/healthz", "/readyz", "/metrics",
                     "/openapi.json", "/v1/../v1/views", "/%00", "/v1/views%2f", "*", "/docs",
                     "http://other.example/v1/views", "/schema/openapi.json"]),
    st.text("/.%20aAzv1?&=;+~é", max_size=40).map("/".__add__),
)  # fmt: skip
_query = st.one_of(
    st.just(""), st.text("key=&vlpk_%0aZ?é", max_size=30).map("?".__add__), st.just("?key=<page>")
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
_event = st.dictionaries(
    st.sampled_from([*fresh(), "ip", "attrs", "consent", "received_at"]), _json
)
_body = st.one_of(
    st.binary(max_size=200),
    _json.map(json.dumps).map(str.encode),
    st.lists(_event.map(lambda changes: fresh(**changes)), max_size=4).map(json.dumps)
    .map(str.encode),
    st.sampled_from([b"", b"[" * 5000, b"[]", b"{}", b'{"a":' * 3000, b"\n\n", b"\xff\xfe[\x00]"]),
)  # fmt: skip
_method = st.sampled_from(
    ["POST"] * 6 + ["GET", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "post", "BREW"]
)


@given(
    _method,
    _path | st.just("/v1/views"),
    _query,
    st.lists(st.tuples(_name, _value), max_size=6),
    _body,
    st.booleans(),
    st.booleans(),
)
@bounded(250)
def test_any_request_is_answered(
    fuzzed: OwnCollector,
    keys: Keys,
    method: str,
    path: str,
    query: str,
    headers: list[tuple[str, str]],
    body: bytes,
    as_page: bool,
    is_chunked: bool,
) -> None:
    if as_page:
        headers = [("X-Viewledger-Key", keys.page), ("Origin", ORIGIN), *headers]
    target = (path + query.replace("<page>", keys.page)).encode("utf-8")
    lines = [f"{name}: {value}".encode("latin-1") for name, value in headers]
    if is_chunked:
        lines.append(b"Transfer-Encoding: chunked")
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    else:
        lines.append(b"Content-Length: %d" % len(body))
    head = b"\r\n".join([b"%s %s HTTP/1.1" % (method.encode(), target), b"Host: x", *lines])
    answer = exchange(fuzzed, head + b"\r\nConnection: close\r\n\r\n" + body, method)
    assert answer is not None
    check(*answer, keys)


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A request that was cut, doubled or bitten somewhere."""
    body = json.dumps(fresh()).encode()
    request = (
        b"POST /v1/views HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    for _ in range(draw(st.integers(1, 4))):
        at, until_ = sorted(draw(st.tuples(*[st.integers(0, len(request))] * 2)))
        until_ = min(until_, at + 12)
        put = draw(st.binary(max_size=8) | st.sampled_from([b"\r\n", b"\r\n\r\n", b"\x00", b": "]))
        request = request[:at] + put + request[until_:]
    return request


@given(st.binary(max_size=300) | broken())
@bounded(150)
def test_what_is_not_http_ends_quietly(fuzzed: OwnCollector, keys: Keys, request_: bytes) -> None:
    # Where something is missing, the door would wait for it as long as it waits for a slow body.
    answer = exchange(fuzzed, request_, "POST", patience_s=0.1)
    if answer is not None:
        check(*answer, keys)


def exchange(
    collector: OwnCollector, request: bytes, method: str, patience_s: float = 20
) -> tuple[int, dict[str, str], bytes] | None:
    """Status, headers and body of the first answer; None where there is none."""
    with socket.create_connection(collector.address, timeout=patience_s) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection, method=method.upper())
        try:
            answer.begin()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, headers, answer.read()
        except (http.client.HTTPException, OSError):
            return None
        finally:
            answer.close()
