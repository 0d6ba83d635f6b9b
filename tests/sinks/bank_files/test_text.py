"""What is left of any text is what banks take."""

import re

import pytest
from hypothesis import given
from support.payments import texts

from sinks.bank_files.text import ascii_text, plain_text, sepa_text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Łódź", "Lodz"),
        ("Straße & Söhne", "Strasse + Sohne"),
        ("cafe\u0301", "cafe"),
        ("a\x00b\r\nc", "a b c"),
        ('<b>"x"</b>', "(b)'x'(/b)"),
        ("50% #1 @home!", "50. .1 .home."),
        ("\u200b\u202e", ""),
    ],
)
def test_examples(text: str, wanted: str) -> None:
    assert sepa_text(text, 70) == wanted


@given(texts)
def test_only_characters_of_sepa_are_left(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9/\-?:().,'+ ]{0,35}", sepa_text(text, 35))
    assert re.fullmatch("[ -~]{0,35}", ascii_text(text, 35))


@given(texts)
def test_nothing_is_left_to_clean(text: str) -> None:
    assert plain_text(plain_text(text)) == plain_text(text)
    assert sepa_text(sepa_text(text, 70), 70) == sepa_text(text, 70)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", plain_text(text))


def test_half_a_character_of_utf_16_is_dropped() -> None:
    assert plain_text("a\ud800b") == "a b"
