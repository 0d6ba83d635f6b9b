"""Money is integers: micro-units (1e-6) of a currency in a signed 64-bit integer.

Bank files count in minor units of ISO 4217: cents, but whole yen and thousandths of a dinar.
"""

import re
from decimal import Decimal
from functools import cache

MICROS = 1_000_000
MAX_MICROS = 2**63 - 1


def parse_currency(text: str) -> str:
    """An ISO 4217 code, upper case.

    Raises:
        ValueError: not three letters.
    """
    code = text.strip().upper()
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        raise ValueError(f"currency {text!r} is not a three-letter ISO 4217 code")
    return code


def parse_amount(text: str) -> int:
    """`"1234.5"` → 1,234,500,000 micros; exact, up to six decimals.

    Raises:
        ValueError: not a number of this kind, or too large.
    """
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text):
        raise ValueError(
            f"the amount is {text!r}; it must be such as 1234.56: at most 12 digits and six "
            "decimals, without a sign and without separators"
        )
    return int(Decimal(text) * MICROS)


def format_micros(micros: int, currency: str) -> str:
    """`1234567890, "EUR"` → `1,234.567890 EUR`: exact, nothing is rounded away."""
    amount = Decimal(micros) / MICROS
    return f"{amount:,.6f} {currency}"


@cache
def exponent(currency: str) -> int:
    """Decimals of a currency: EUR 2, JPY 0, KWD 3.

    Raises:
        ValueError: no currency of ISO 4217, or one without minor units, such as gold.
    """
    from iso4217 import Currency  # reads a table; most commands never need it

    try:
        decimals = Currency(currency).exponent
    except ValueError:
        decimals = None
    if decimals is None:
        raise ValueError(f"{currency!r} is no currency of ISO 4217 with minor units")
    return decimals


def to_minor(micros: int, currency: str) -> int:
    """Micros in whole minor units, rounded down; the rest is `micros - to_micros(minor)`."""
    return micros // _micros_per_minor(currency)


def to_micros(minor: int, currency: str) -> int:
    """Minor units in micros; exact."""
    return minor * _micros_per_minor(currency)


def _micros_per_minor(currency: str) -> int:
    minor_units: int = 10 ** exponent(currency)
    return MICROS // minor_units


def minor_decimal(minor: int, currency: str) -> Decimal:
    """`123456, "EUR"` → `Decimal("1234.56")`, with as many decimals as the currency has."""
    return Decimal(minor).scaleb(-exponent(currency))


def format_minor(minor: int, currency: str) -> str:
    """`123456, "EUR"` → `1,234.56 EUR`."""
    return f"{minor_decimal(minor, currency):,f} {currency}"
