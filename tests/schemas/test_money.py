"""Money is shown to the micro, and never by way of a float."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import (
    MAX_MICROS,
    MICROS,
    exponent,
    format_micros,
    format_minor,
    minor_decimal,
    parse_currency,
    to_micros,
    to_minor,
)


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "0.000000 EUR"),
        (1, "0.000001 EUR"),
        (1_234_567_890, "1,234.567890 EUR"),
        (-2_500_000, "-2.500000 EUR"),
        (MAX_MICROS, "9,223,372,036,854.775807 EUR"),
    ],
)
def test_examples(micros: int, shown: str) -> None:
    assert format_micros(micros, "EUR") == shown


@given(st.integers(-MAX_MICROS, MAX_MICROS))
def test_nothing_is_rounded_away(micros: int) -> None:
    amount, currency = format_micros(micros, "USD").split()
    whole, _, fraction = amount.replace(",", "").partition(".")
    sign = -1 if whole.startswith("-") else 1
    assert sign * (abs(int(whole)) * MICROS + int(fraction)) == micros
    assert (len(fraction), currency) == (6, "USD")


@pytest.mark.parametrize("text", ["eur", " EUR ", "EUR"])
def test_currencies_are_written_in_one_way(text: str) -> None:
    assert parse_currency(text) == "EUR"


@pytest.mark.parametrize("text", ["", "EU", "EURO", "E1R", "€UR", "ÄÖÜ", "E R"])
def test_what_is_no_code_is_refused_with_its_value(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217") as error:
        parse_currency(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("currency", "decimals", "shown"),
    [
        ("EUR", 2, "12,345.67 EUR"),
        ("JPY", 0, "1,234,567 JPY"),
        ("KWD", 3, "1,234.567 KWD"),
        ("CLF", 4, "123.4567 CLF"),
    ],
)
def test_currencies_have_their_own_decimals(currency: str, decimals: int, shown: str) -> None:
    assert exponent(currency) == decimals
    assert format_minor(1_234_567, currency) == shown


@pytest.mark.parametrize("code", ["ZZZ", "eur", "XAU", "XXX", "", "EURO", "code"])
def test_what_has_no_minor_units_is_refused_with_its_value(code: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217") as error:
        exponent(code)
    assert repr(code) in str(error.value)


@given(st.integers(0, MAX_MICROS), st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_minor_units_are_rounded_down_once(micros: int, currency: str) -> None:
    minor = to_minor(micros, currency)
    assert 0 <= micros - to_micros(minor, currency) < to_micros(1, currency)
    assert to_minor(to_micros(minor, currency), currency) == minor
    assert minor_decimal(minor, currency) * MICROS == to_micros(minor, currency)
