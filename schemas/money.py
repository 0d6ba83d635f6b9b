"""Money is integers: micro-units (1e-6) of a currency in a signed 64-bit integer."""

from decimal import Decimal

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


def format_micros(micros: int, currency: str) -> str:
    """`1234567890, "EUR"` → `1,234.567890 EUR`: exact, nothing is rounded away."""
    amount = Decimal(micros) / MICROS
    return f"{amount:,.6f} {currency}"
