"""Payees for simulated promoters: names, addresses and bank accounts of nobody."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from schwifty import IBAN
from schwifty.exceptions import SchwiftyException

from sinks.catalogue_file import read_promoters

_TOWNS = [
    ("Berlin", "DE", "10117", "Unter den Linden", "DE", "10010010", "PBNKDEFFXXX"),
    ("Amsterdam", "NL", "1012 JS", "Damrak", "NL", "ABNA", "ABNANL2A"),
    ("München", "DE", "80331", "Sendlinger Straße", "DE", "70020270", "HYVEDEMMXXX"),
    ("Wien", "AT", "1010", "Kärntner Straße", "AT", "12000", "BKAUATWW"),
]


def payee_lines(promoter_ids: Iterable[str]) -> Iterator[bytes]:
    """A line of a payee file for each promoter, always the same."""
    for number, promoter_id in enumerate(sorted(promoter_ids), 1):
        town, country, postcode, street, bank_country, bank, bic = _TOWNS[number % len(_TOWNS)]
        iban = _account(bank_country, bank, 1_000_000 + 1_000 * number)
        yield msgspec.json.encode(
            {
                "promoter_id": promoter_id,
                "legal_name": " ".join(promoter_id.split("-")[:2]).title(),
                "street": street,
                "building": str(number),
                "postcode": postcode,
                "town": town,
                "country": country,
                "currency": "EUR",
                "method": "iban",
                "iban": str(iban),
                "bic": bic,
            }
        )


def _account(country: str, bank: str, first: int) -> IBAN:
    """The first account number from `first` on that has the check digits of its bank."""
    for account in range(first, first + 1_000):
        iban = IBAN.generate(country, bank_code=bank, account_code=str(account))
        with suppress(SchwiftyException):
            iban.validate(validate_bban=True)
            return iban
    raise AssertionError(f"no account at {bank} from {first} on")


def write_payees(catalogue: Path, out: Path) -> None:
    """Writes a payee file for the promoters of a catalogue file."""
    promoters = [promoter.promoter_id for promoter in read_promoters(catalogue)]
    out.write_bytes(b"".join(line + b"\n" for line in payee_lines(promoters)))
