"""The door as its clients know it: a real process, real Kafka, Postgres and Redis."""

import concurrent.futures
import gzip
import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import cramjam
import httpx
import pytest
from support.door import (
    ORIGIN,
    Keys,
    fresh,
    raw_messages,
    send_as_page,
    send_as_server,
    signed,
)

from schemas.settings import Settings

pytestmark = pytest.mark.services
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def in_kafka(stack: Settings, *sent: dict[str, Any]) -> list[dict[str, Any]]:
    found = raw_messages(stack, {one["event_id"] for one in sent})
    return [json.loads(message.value() or b"") for message in found]


def test_a_beacon_of_a_page_is_in_kafka_when_it_is_answered(
    stack: Settings, collector: str, keys: Keys
) -> None:
    sent = fresh(ip="6.6.6.6", user_agent="made up", received_at=1, collector="me")
    answer = send_as_page(
        collector,
        keys,
        sent,
        **{
            "User-Agent": PHONE,
            "Sec-CH-UA-Mobile": "?1",
            "traceparent": PARENT,
            "X-Request-Id": "r-1",
        },
    )
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "rejected": []})
    assert answer.headers["x-request-id"] == "r-1"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    [message] = raw_messages(stack, {sent["event_id"]})
    assert message.key() == sent["viewer_id"].encode()
    headers = dict(message.headers() or [])
    assert headers == {"request_id": b"r-1", "traceparent": PARENT.encode()}
    event = json.loads(message.value() or b"")
    assert "ip" not in event
    assert len(event["ip_hash"]) == len(event["ip_prefix_hash"]) == 16
    assert event["network"] == "other"
    assert (event["user_agent"], event["client_hints"]) == (PHONE, "mobile=?1")
    assert event["collector"] == "collector-0"
    assert abs(event["received_at"] - time.time() * 1000) < 60_000
    own = sent.keys() - {"ip", "user_agent", "collector", "received_at"}
    assert {name: event[name] for name in own} == {name: sent[name] for name in own}


def test_a_server_says_who_its_viewers_are(stack: Settings, collector: str, keys: Keys) -> None:
    known = fresh(1, ip="198.51.100.7", user_agent="Safari")
    unknown = fresh(2)
    assert send_as_server(collector, keys, [known, unknown]).json()["accepted"] == 2
    events = {event["event_id"]: event for event in in_kafka(stack, known, unknown)}
    assert events[known["event_id"]]["user_agent"] == "Safari"
    assert len(events[known["event_id"]]["ip_hash"]) == 16
    assert "ip" not in events[known["event_id"]]
    assert {"ip_hash", "user_agent", "network"}.isdisjoint(events[unknown["event_id"]])


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_packed_lines(stack: Settings, collector: str, keys: Keys, encoding: str) -> None:
    pack = {"gzip": gzip.compress, "br": cramjam.brotli.compress, "zstd": cramjam.zstd.compress}
    sent = [fresh(number) for number in range(3)]
    body = bytes(pack[encoding]("\n".join(map(json.dumps, sent)).encode()))
    answer = send_as_server(
        collector,
        keys,
        body,
        **{"Content-Encoding": encoding, "Content-Type": "application/x-ndjson"},
    )
    assert answer.json() == {"accepted": 3, "rejected": []}
    assert len(in_kafka(stack, *sent)) == 3


def test_one_bad_event_does_not_harm_its_batch(stack: Settings, collector: str, keys: Keys) -> None:
    good, bad = fresh(1), fresh(2, watch_ms=-1)
    answer = send_as_page(collector, keys, [bad, good])
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    [rejected] = answer.json()["rejected"]
    assert (rejected["index"], rejected["event_id"], rejected["reason"]) == (
        *(0, bad["event_id"]),
        "out_of_range",
    )
    assert [event["event_id"] for event in in_kafka(stack, good, bad)] == [good["event_id"]]


def test_nothing_but_bad_events_is_a_problem(collector: str, keys: Keys) -> None:
    answer = send_as_page(collector, keys, [{}])
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:viewledger:problem:all_rejected"
    assert answer.json()["rejected"][0]["reason"] == "missing_field"


def test_wishes_are_honoured(stack: Settings, collector: str, keys: Keys) -> None:
    sent = fresh(language="en-GB", referrer="https://x.example/y")
    assert (
        send_as_page(collector, keys, sent, **{"DNT": "1", "User-Agent": PHONE}).status_code == 202
    )
    [event] = in_kafka(stack, sent)
    assert {"ip_hash", "ip_prefix_hash", "language", "referrer", "user_agent"}.isdisjoint(event)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"[]", {}, 400),
        (b"[1", {}, 400),
        (b"{}", {"Content-Type": "text/html"}, 415),
        (b"{}", {"Content-Encoding": "deflate"}, 415),
        (b"{}", {"Content-Encoding": "gzip"}, 400),
        (b" " * (1024 * 1024 + 1), {}, 413),
        (json.dumps([{}] * 501).encode(), {}, 413),
        (b"{}", {"Origin": "https://evil.example"}, 403),
    ],
)
def test_what_is_wrong_is_said(
    collector: str, keys: Keys, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = send_as_page(collector, keys, body, **headers)
    assert answer.status_code == status
    assert set(answer.json()) >= {"type", "title", "status", "detail", "request_id"}
    assert "Traceback" not in answer.text


def test_a_signature_of_another_body_opens_nothing(collector: str, keys: Keys) -> None:
    headers = signed(keys.server, b"[]")
    answer = httpx.post(f"{collector}/v1/views", content=b"{}", headers=headers)
    assert answer.status_code == 401


def test_other_pages(collector: str) -> None:
    assert httpx.get(f"{collector}/healthz").json() == {"ok": True}
    assert httpx.get(f"{collector}/readyz").json() == {"ok": True}
    assert "viewledger_requests_total" in httpx.get(f"{collector}/metrics").text
    proxied = httpx.get(f"{collector}/metrics", headers={"X-Forwarded-For": "10.0.0.1"})
    assert proxied.status_code == 404
    assert httpx.get(f"{collector}/openapi.json").json()["openapi"] == "3.1.0"
    assert httpx.get(f"{collector}/").status_code == 404
    wrong = httpx.get(f"{collector}/v1/views")
    assert wrong.status_code == 405
    assert "POST" in wrong.headers["allow"]


def test_a_slow_client_is_cut_and_others_are_served_meanwhile(collector: str, keys: Keys) -> None:
    url = urlsplit(collector)
    with socket.create_connection((url.hostname, url.port), timeout=60) as slow:
        slow.sendall(
            f"POST /v1/views?key={keys.page} HTTP/1.1\r\nHost: x\r\nOrigin: {ORIGIN}\r\n"
            "Content-Type: text/plain\r\nContent-Length: 1000\r\n\r\n[".encode()
        )
        assert send_as_page(collector, keys, fresh()).status_code == 202
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")


def test_many_at_once_are_all_answered_and_all_there(
    stack: Settings, collector: str, keys: Keys
) -> None:
    sent = [fresh(number, viewer_id=f"viewer-{number % 7:04}") for number in range(200)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda one: send_as_page(collector, keys, one), sent))
    assert {answer.status_code for answer in answers} == {202}
    assert len(in_kafka(stack, *sent)) == 200
