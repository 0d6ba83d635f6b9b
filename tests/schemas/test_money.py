"""Money is shown to the micro, and never by way of a float."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import MAX_MICROS, MICROS, format_micros, parse_currency


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
