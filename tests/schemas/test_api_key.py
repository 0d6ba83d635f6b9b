import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.api_key import KINDS, PREFIX, Key, Kind, new_token, normal_origin, token_hash


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_has_an_id_and_a_rest(kind: Kind) -> None:
    token = new_token(kind)
    assert re.fullmatch(r"vl[ps]k_[a-z0-9]{12}_[A-Za-z0-9_-]{43}", token.text)
    assert token.text == f"{PREFIX[kind]}{token.key_id}_{token.rest}"
    assert len({new_token(kind).text for _ in range(100)}) == 100


def test_a_key_shows_neither_secret_nor_hash() -> None:
    key = Key(key_id="a" * 12, kind="secret", secret=b"geheim", token_hash=b"gehasht")
    assert "geh" not in f"{key} {key!r} {[key]}"


@given(st.text(), st.text())
def test_tokens_have_the_same_hash_where_they_are_the_same(one: str, other: str) -> None:
    assert (token_hash(one) == token_hash(other)) == (one == other)


def test_any_header_can_be_hashed() -> None:
    assert len(token_hash("\udc80")) == 32


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://www.example.com", "https://www.example.com"),
        ("https://WWW.Example.com/", "https://www.example.com"),
        ("HTTPS://example.com:443", "https://example.com"),
        ("https://example.com:8443", "https://example.com:8443"),
        ("https://xn--mller-kva.example", "https://xn--mller-kva.example"),
        ("https://192.0.2.1", "https://192.0.2.1"),
        ("https://[2001:DB8::1]:444", "https://[2001:db8::1]:444"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_origins_as_browsers_write_them(text: str, origin: str) -> None:
    assert normal_origin(text) == origin
    assert normal_origin(origin) == origin


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "starts with https://"),
        ("null", "starts with https://"),
        ("www.example.com", "starts with https://"),
        ("ftp://example.com", "starts with https://"),
        ("*", "no wildcards"),
        ("https://*.example.com", "no wildcards"),
        ("https://example.com/page", "scheme://host"),
        ("https://example.com/?x=1", "scheme://host"),
        ("https://example.com?", "scheme://host"),
        ("https://example.com#", "scheme://host"),
        ("https://ada:geheim@example.com", "scheme://host"),
        ("https://", "'' is no host"),
        ("https://a..b", "'a..b' is no host"),
        ("https://a b", "'a b' is no host"),
        ("https://müller.example", "xn--"),
        ("https://example.com:99999", "range"),
        ("https://[::1", "Invalid IPv6"),
        ("http://example.com", "not encrypted"),
        ("http://localhost.example.com", "not encrypted"),
    ],
)
def test_what_is_no_origin_is_told_so(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        normal_origin(text)
    assert repr(text) in str(error.value)


@given(st.text() | st.text().map(lambda text: f"https://{text}"))
def test_any_text_is_an_origin_that_stays_the_same_or_an_error(text: str) -> None:
    try:
        origin = normal_origin(text)
    except ValueError:
        return
    assert normal_origin(origin) == origin
    assert re.fullmatch(r"https?://[a-z0-9.:\[\]_-]+", origin)
