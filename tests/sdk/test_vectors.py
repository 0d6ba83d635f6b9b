"""sdk/vectors/*.json: the Python SDK does what they say, and so do `score` and the collector."""

import base64
import json
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.collector.authenticate import authenticate
from pipeline.collector.incoming import decode as decode_body
from pipeline.collector.keyring import Key, Keyring
from pipeline.score.decode import decode
from schemas.settings import Settings
from sinks.sealing import new_key
from viewledger_sdk import ConfigError, InvalidEvent
from viewledger_sdk.answer import Answer, Delivered, GiveUp, Halve, Retry, decide
from viewledger_sdk.delivery import Pause, deliver
from viewledger_sdk.keys import parse_key
from viewledger_sdk.protocol import backoff_bound_s, build_request, sign, split
from viewledger_sdk.queue import Item
from viewledger_sdk.view import encode

VECTORS = Path(__file__).parents[2] / "sdk" / "vectors"


def cases(name: str) -> Any:
    found = json.loads((VECTORS / f"{name}.json").read_text())["cases"]
    return pytest.mark.parametrize("case", [pytest.param(c, id=c.get("name", "")) for c in found])


def test_every_file_is_run():
    assert {path.stem for path in VECTORS.iterdir()} == {
        "answers", "backoff", "batches", "events", "keys", "signing"
    }  # fmt: skip


@cases("signing")
def test_signing(case):
    key = parse_key(case["token"])
    body = base64.b64decode(case["body_base64"])
    signature = case["headers"]["X-Viewledger-Signature"]
    assert sign(key.secret, case["timestamp_ms"], body) == signature
    if case["content_encoding"] is None and b"\n" not in body:
        request = build_request("https://x/v1/views", key, [body], case["timestamp_ms"])
        assert request.body == body
        assert request.headers.items() >= case["headers"].items()


@cases("signing")
def test_the_collector_lets_in_what_is_signed_so(case):
    keyring = Keyring(Settings(collector_keys=SecretStr(new_key())))
    key = parse_key(case["token"])
    keyring.hold([Key(key_id=key.key_id, kind="secret", secret=key.secret)], 0.0)
    headers = {name.lower(): value for name, value in case["headers"].items()}
    body = base64.b64decode(case["body_base64"])
    assert authenticate(keyring, headers, None, body, case["timestamp_ms"]).key_id == key.key_id


@cases("keys")
def test_keys(case):
    if case["kind"] is None:
        with pytest.raises(ConfigError):
            parse_key(case["token"])
    else:
        key = parse_key(case["token"])
        assert (key.kind, key.key_id) == (case["kind"], case["key_id"])
        assert case["token"][18:] not in repr(key)


def value_of(case: Any) -> bytes:
    """The bytes of an event."""
    if "event_base64" in case:
        return base64.b64decode(case["event_base64"])
    if "event_parts" in case:
        return "".join(text * count for text, count in case["event_parts"]).encode()
    return json.dumps(case["event"]).encode()


@cases("events")
def test_score_judges_events_so(case):
    value = value_of(case)
    event = case.get("event")
    viewer = event.get("viewer_id") if isinstance(event, dict) else "9f2c4e11a0"
    record = SimpleNamespace(value=value, key=str(viewer).encode(), headers=(), timestamp=0)
    views, _, refused = decode([record])
    assert [one.refusal.label for one in refused] == [case["reason"]] * len(refused)
    assert len(views) == (case["reason"] is None)


@cases("events")
def test_the_collector_judges_events_so(case):
    batch = decode_body(value_of(case), lines=True)
    # What is too large with all that the collector knows of it is found out later.
    if case["reason"] != "too_large":
        assert [one.reason for one in batch.rejected] == [case["reason"]] * len(batch.rejected)
        assert len(batch.events) == (case["reason"] is None)


@cases("events")
def test_the_sdk_refuses_nothing_good(case):
    """What it queues keeps all fields; what it refuses, no collector would take."""
    event = case.get("event")
    if not isinstance(event, dict):
        return
    try:
        event_id, head = encode(event, 5)
    except InvalidEvent as error:
        assert case["reason"] in (error.reason, "wrong_type")
    else:
        assert event_id == event.get("event_id", event_id)
        sent = {name: value for name, value in event.items() if name != "sent_at"}
        assert json.loads(head + b"}").items() >= sent.items()


@cases("answers")
def test_answers(case):
    status = case["status"]
    headers = {name.lower(): value for name, value in case["headers"].items()}
    answer = None if status is None else Answer(status, headers, case["body"].encode())
    decision, expected = decide(answer, case["events"], case["now_ms"]), case["expect"]
    if expected["action"] == "settle":
        assert isinstance(decision, Delivered)
    elif expected["action"] == "give_up":
        assert isinstance(decision, GiveUp)
        assert decision.reason == expected["reason"]
    elif expected["action"] == "retry":
        assert isinstance(decision, Retry)
        after_ms = None if decision.after_s is None else decision.after_s * 1000
        assert after_ms == expected["not_before_ms"]
    else:
        assert isinstance(decision, Halve)
        assert halves(answer, case["events"]) == expected["sizes"]
    if isinstance(decision, Delivered | GiveUp):
        assert {str(one.row): one.reason for one in decision.rejected} == expected["rejected"]


def halves(answer: Answer | None, count: int) -> list[int]:
    """The sizes of the next two requests, if the first is answered so."""
    sizes: list[int] = []
    steps = deliver(
        [Item(i, "", b"") for i in range(count)],
        lambda part: sizes.append(len(part)),  # type: ignore[func-returns-value, arg-type]
        lambda outcome: None,
    )
    for came in (None, answer, Answer(401, {}, b"")):
        make = steps.send(came)
        assert not isinstance(make, Pause)
        make()
    return sizes[1:]


@cases("batches")
def test_batches(case):
    sizes = list(chain.from_iterable([run["bytes"]] * run["count"] for run in case["sizes"]))
    assert split(sizes, case["max_events"], case["max_bytes"]) == case["batches"]


@cases("backoff")
def test_backoff(case):
    bound_s = backoff_bound_s(
        case["failed_attempts"], case["base_ms"] / 1000, case["cap_ms"] / 1000
    )
    assert bound_s * 1000 == case["max_ms"]
