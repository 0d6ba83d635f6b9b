"""Headers: ids and trace context as they may go on, and nothing that a client could smuggle."""

import asyncio
import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collector.headers import (
    client_hints,
    headers_by_name,
    trace_of,
    wants_no_tracking,
    with_headers,
)

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_repeated_headers_are_joined_in_their_order() -> None:
    pairs = [(b"X-Forwarded-For", b"1.1.1.1"), (b"a", b"b"), (b"x-forwarded-for", b"2.2.2.2")]
    assert headers_by_name(pairs) == {"x-forwarded-for": "1.1.1.1, 2.2.2.2", "a": "b"}


@pytest.mark.parametrize(
    ("parent", "fine"),
    [
        (PARENT, True),
        ("", False),
        (PARENT.upper(), False),
        (PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32), False),
        (PARENT.replace("b7ad6b7169203331", "0" * 16), False),
        ("ff" + PARENT[2:], False),
        (PARENT + "\n", False),
    ],
)
def test_only_a_valid_trace_context_goes_on(parent: str, fine: bool) -> None:
    found = trace_of({"traceparent": parent, "tracestate": "vendor=1"})
    assert found == ((parent, "vendor=1") if fine else ("", ""))


def test_a_trace_state_that_is_too_long_or_not_ascii_is_left_out() -> None:
    for state in ("x" * 513, "vendor=é"):
        assert trace_of({"traceparent": PARENT, "tracestate": state}) == (PARENT, "")


def test_client_hints_are_one_short_text() -> None:
    headers = {"sec-ch-ua": '"Chromium";v="156"', "sec-ch-ua-mobile": "?1"}
    assert client_hints(headers) == 'brands="Chromium";v="156"; mobile=?1'
    assert client_hints({}) is None
    assert len(client_hints({"sec-ch-ua": "x" * 5000}) or "") == 512


@pytest.mark.parametrize(
    ("headers", "wants"),
    [({}, False), ({"dnt": "0"}, False), ({"dnt": "1"}, True), ({"sec-gpc": "1"}, True)],
)
def test_the_two_ways_to_say_no(headers: dict[str, str], wants: bool) -> None:
    assert wants_no_tracking(headers) is wants


def ask(method: str, *pairs: tuple[bytes, bytes]) -> tuple[int, dict[str, str], str | None]:
    """Status and headers of the answer, and the request id that the app saw."""
    seen: list[Any] = []
    sent: list[Any] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        seen.append(scope["state"]["request_id"])
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    keyring: Any = SimpleNamespace(origins=lambda: frozenset({"https://site.example"}))
    scope = {"type": "http", "method": method, "headers": list(pairs)}
    asyncio.run(with_headers(app, lambda: keyring)(scope, None, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, seen[0] if seen else None


def test_every_answer_has_a_request_id_and_security_headers() -> None:
    status, headers, seen = ask("POST")
    assert status == 202
    assert headers["x-request-id"] == seen
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


@given(st.binary(max_size=80))
def test_a_request_id_is_taken_or_made_and_never_dangerous(said: bytes) -> None:
    _, headers, seen = ask("POST", (b"x-request-id", said))
    assert seen is not None
    assert headers["x-request-id"] == seen
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", seen)


def test_a_page_of_a_known_origin_may_read_the_answer() -> None:
    _, headers, _ = ask("POST", (b"origin", b"https://site.example"))
    assert headers["access-control-allow-origin"] == "https://site.example"
    assert headers["vary"] == "Origin"


def test_another_page_may_not() -> None:
    _, headers, _ = ask("POST", (b"origin", b"https://evil.example"))
    assert "access-control-allow-origin" not in headers
    assert headers["vary"] == "Origin"


def test_a_preflight_is_answered_without_the_app() -> None:
    status, headers, seen = ask(
        "OPTIONS",
        (b"origin", b"https://site.example"),
        (b"access-control-request-method", b"POST"),
    )
    assert (status, seen) == (204, None)
    assert headers["access-control-allow-methods"] == "POST"
    assert "content-type" in headers["access-control-allow-headers"]
    assert headers["access-control-allow-origin"] == "https://site.example"
