import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pipeline.collector.authenticate import REPLAY_WINDOW_MS, authenticate
from pipeline.collector.keyring import Key, Keyring
from pipeline.collector.problems import ProblemError
from schemas.api_key import new_token, token_hash
from schemas.settings import Settings
from sinks.sealing import new_key

NOW = 1_790_000_000_000
PAGE = "https://www.example.com"
PUBLIC, SECRET, OLD_PUBLIC, OLD_SECRET = (
    new_token(kind) for kind in ("publishable", "secret", "publishable", "secret")
)
KEYS = [
    Key(
        key_id=token.key_id,
        kind="publishable",
        origins=frozenset([PAGE, "https://shop.example.com:8443"]),
        token_hash=token_hash(token.text),
        expires_ms=expires_ms,
    )
    for token, expires_ms in [(PUBLIC, None), (OLD_PUBLIC, NOW)]
] + [
    Key(key_id=token.key_id, kind="secret", secret=token.rest.encode(), expires_ms=expires_ms)
    for token, expires_ms in [(SECRET, None), (OLD_SECRET, NOW)]
]
ALL_TOKENS = [PUBLIC, SECRET, OLD_PUBLIC, OLD_SECRET]


KEYRING = Keyring(Settings(collector_keys=SecretStr(new_key())))
KEYRING.hold(KEYS, 0.0)


def ask(
    headers: dict[str, str], query: str | None = None, body: bytes = b"", now_ms: int = NOW
) -> Key:
    return authenticate(KEYRING, headers, query, body, now_ms)


def refusal(
    headers: dict[str, str], query: str | None = None, body: bytes = b"", now_ms: int = NOW
) -> tuple[int, str]:
    with pytest.raises(ProblemError) as error:
        ask(headers, query, body, now_ms)
    for token in ALL_TOKENS:
        assert token.rest not in str(error.value)
    return error.value.status, error.value.reason


def signed(body: bytes, at_ms: int = NOW, token: str = SECRET.text) -> dict[str, str]:
    """As the protocol has it, and by nothing of the collector."""
    kind, key_id, secret = token.split("_", 2)
    message = b"%d.%b" % (at_ms, body)
    digest = hmac.digest(secret.encode("ascii"), message, hashlib.sha256).hex()
    return {
        "x-viewledger-key": f"{kind}_{key_id}",
        "x-viewledger-timestamp": str(at_ms),
        "x-viewledger-signature": f"v1={digest}",
    }


def test_a_page_by_its_url_or_a_header() -> None:
    origin = {"origin": PAGE}
    assert ask(origin, PUBLIC.text).key_id == PUBLIC.key_id
    assert ask(origin | {"x-viewledger-key": PUBLIC.text}).key_id == PUBLIC.key_id
    assert ask(origin | {"x-viewledger-key": PUBLIC.text}, "other").key_id == PUBLIC.key_id


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        (None, "no_origin"),
        ("", "no_origin"),
        ("null", "origin"),
        (PAGE + "/", "origin"),
        (PAGE.upper(), "origin"),
        ("http://www.example.com", "origin"),
        (PAGE + ":8443", "origin"),
        (PAGE + ".evil.example", "origin"),
        ("https://shop.example.com", "origin"),
    ],
)
def test_a_page_of_another_origin_may_not(origin: str | None, reason: str) -> None:
    headers = {} if origin is None else {"origin": origin}
    assert refusal(headers, PUBLIC.text) == (403, reason)


@pytest.mark.parametrize("token", ["", "x", "vlpk_", "key", "\udc80", "vlsk_aaaaaaaaaaaa"])
def test_no_key_and_no_good_one(token: str) -> None:
    reason = "unknown_key" if token == "vlpk_" else "not_a_key" if token else "no_key"
    assert refusal({"origin": PAGE}, token) == (401, reason)
    reason = "unknown_key" if token.startswith("vlsk") else reason
    assert refusal({"origin": PAGE, "x-viewledger-key": token}) == (401, reason)
    assert refusal({}) == (401, "no_key")


def test_a_secret_is_never_asked_for() -> None:
    assert refusal(signed(b"") | {"x-viewledger-key": SECRET.text}) == (401, "secret_sent")
    headers = signed(b"")
    del headers["x-viewledger-key"]
    assert refusal(headers, SECRET.text) == (401, "not_a_key")


def test_what_was_rotated_ends_at_its_time() -> None:
    for headers, query in [
        ({"origin": PAGE}, OLD_PUBLIC.text),
        (signed(b"", token=OLD_SECRET.text), None),
    ]:
        assert ask(headers, query, now_ms=NOW - 1)
        assert refusal(headers, query, now_ms=NOW) == (401, "expired_key")


@given(st.binary(max_size=200), st.integers(-REPLAY_WINDOW_MS, REPLAY_WINDOW_MS))
def test_a_server_that_signs_is_let_in(body: bytes, late_ms: int) -> None:
    key = ask(signed(body, NOW - late_ms), None, body)
    assert (key.key_id, key.kind) == (SECRET.key_id, "secret")


@given(st.integers(REPLAY_WINDOW_MS + 1, NOW), st.booleans())
def test_outside_the_window_it_is_not(by_ms: int, ahead: bool) -> None:
    at = NOW + by_ms if ahead else NOW - by_ms
    assert refusal(signed(b"x", at), None, b"x") == (401, "timestamp")


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_flipped_bit_anywhere_is_refused(body: bytes, data: st.DataObject) -> None:
    headers = signed(body)
    where = data.draw(st.sampled_from(["body", *headers]))
    if where == "body":
        flipped = bytearray(body)
        flipped[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        assert refusal(headers, None, bytes(flipped)) == (401, "signature")
        return
    text = bytearray(headers[where].encode())
    text[data.draw(st.integers(0, len(text) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert refusal(headers | {where: text.decode("latin-1")}, None, body)[0] == 401


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("x-viewledger-timestamp", "", "timestamp"),
        ("x-viewledger-timestamp", str(NOW // 1000), "signature"),
        ("x-viewledger-timestamp", f"0{NOW}", "signature"),
        ("x-viewledger-timestamp", f" {NOW}", "timestamp"),
        ("x-viewledger-timestamp", f"{NOW}\n", "timestamp"),
        ("x-viewledger-timestamp", "1e12", "timestamp"),
        ("x-viewledger-timestamp", "٣" * 13, "timestamp"),
        ("x-viewledger-timestamp", "9" * 5000, "timestamp"),
        ("x-viewledger-signature", "", "signature"),
        ("x-viewledger-signature", "v1=" + "0" * 64, "signature"),
        pytest.param(
            "x-viewledger-signature",
            signed(b"x")["x-viewledger-signature"] + "0",
            "signature",
            id="a digit too much",
        ),
        ("x-viewledger-signature", "v2=" + "0" * 64, "signature"),
        ("x-viewledger-signature", "0" * 64, "signature"),
    ],
)
def test_a_header_that_is_wrong_is_named(name: str, value: str, reason: str) -> None:
    assert refusal(signed(b"x") | {name: value}, None, b"x") == (401, reason)


def test_the_signature_of_one_key_is_not_that_of_another() -> None:
    headers = signed(b"x", token=OLD_SECRET.text) | {"x-viewledger-key": f"vlsk_{SECRET.key_id}"}
    assert refusal(headers, None, b"x") == (401, "signature")


def test_details_help() -> None:
    with pytest.raises(ProblemError, match=re.escape("signed 3,600 s before now")):
        ask(signed(b"", NOW - 3_600_000))


NAMES = ["x-viewledger-key", "x-viewledger-timestamp", "x-viewledger-signature", "origin"]
TEXTS = (
    st.text(st.characters())
    | st.sampled_from([PUBLIC.text, SECRET.text, PAGE, *signed(b"x").values()])
    | st.builds(lambda text: f"vlpk_{text}", st.text())
    | st.builds(lambda text: f"vlsk_{text}", st.text())
)


@given(st.dictionaries(st.sampled_from(NAMES), TEXTS), st.none() | TEXTS, st.binary(max_size=20))
def test_whatever_is_sent_is_let_in_or_a_problem(
    headers: dict[str, str], query: str | None, body: bytes
) -> None:
    try:
        key = ask(headers, query, body)
    except ProblemError as error:
        assert error.status in (401, 403)
        for token in ALL_TOKENS:
            assert token.rest not in str(error)
    else:
        assert key in KEYS


def test_before_the_keys_are_known_nobody_is_called_unknown() -> None:
    empty = Keyring(Settings(collector_keys=SecretStr(new_key())))
    with pytest.raises(ProblemError) as error:
        authenticate(empty, {"origin": PAGE}, PUBLIC.text, b"", NOW)
    assert (error.value.status, error.value.headers) == (503, {"Retry-After": "2"})
