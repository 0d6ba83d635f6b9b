"""Whether a payee can be paid, as far as rules and checksums can tell. Never repeats a value."""

import re
from typing import NamedTuple

import pycountry
from schwifty import BIC, IBAN
from schwifty.exceptions import (
    InvalidBBANChecksum,
    InvalidChecksumDigits,
    InvalidCountryCode,
    InvalidLength,
    SchwiftyException,
)

from schemas.payee import Payee
from schemas.payout import Ach, Address, Iban, Paypal

_LENGTHS = {"street": 70, "building": 16, "postcode": 16, "town": 35, "region": 35}
"""Of ISO 20022, which also has 140 for a name."""
_TERRITORIES = {
    "FI": {"AX"},
    "FR": {"BL", "GF", "GP", "MF", "MQ", "NC", "PF", "PM", "RE", "TF", "WF", "YT"},
    "GB": {"GG", "IM", "JE"},
}
"""Countries in a BIC that use the IBANs of another one."""
_DISTRICTS = (range(13), range(21, 33), range(61, 73), range(80, 81))
"""First two digits of routing numbers that were ever given out."""


class Findings(NamedTuple):
    """What is wrong with a payee, and what a person should look at."""

    problems: list[str]
    warnings: list[str]


def check_payee(payee: Payee) -> Findings:
    """Checks everything about a payee that can be checked without asking a bank."""
    problems, warnings = _check_details(payee)
    if not _is_text(payee.promoter_id, 64):
        problems.append("promoter_id must be 1 to 64 printable characters, no spaces around them")
    if not _is_text(payee.legal_name, 140):
        problems.append(
            "legal_name must be 1 to 140 printable characters in one line, no spaces around them"
        )
    problems += _check_address(payee.address)
    if not pycountry.currencies.get(alpha_3=payee.currency):
        problems.append("currency must be an ISO 4217 code such as EUR")
    if payee.method == "ach" and payee.currency != "USD":
        problems.append("currency must be USD for method ach")
    if _has_account(payee):
        problems.append("the account number stands in another field too, where all can read it")
    if payee.tax_form == "w8" and payee.backup_withholding:
        warnings.append("backup withholding is for persons of the United States, not with a W-8")
    return Findings(problems, warnings)


def _check_address(address: Address) -> list[str]:
    problems = []
    for field, most in _LENGTHS.items():
        text = getattr(address, field)
        if (text or field == "town") and not _is_text(text, most):
            least = "1 to" if field == "town" else "at most"
            problems.append(
                f"{field} must be {least} {most} printable characters, no spaces around them"
            )
    if not _is_country(address.country):
        problems.append("country must be an ISO 3166 code of two letters such as DE")
    return problems


def _check_details(payee: Payee) -> Findings:
    details = payee.details
    if isinstance(details, Iban):
        return _check_iban(details, payee.address.country)
    if isinstance(details, Ach):
        return Findings(_check_ach(details), [])
    return Findings(_check_paypal(details), [])


def _check_iban(details: Iban, country: str) -> Findings:
    if not details.iban:
        return Findings(["iban is missing"], [])
    problems, warnings = [], []
    try:
        iban = IBAN(details.iban)
        if iban.compact != details.iban:
            problems.append("iban must be upper case and without spaces")
        elif iban.country_code != country:
            warnings.append(f"the IBAN is of {iban.country_code} and the address in {country}")
        iban.validate(validate_bban=True)
    except InvalidBBANChecksum:
        warnings.append("the check digits inside the IBAN are unusual for its bank: ask the payee")
    except SchwiftyException as error:
        # What the library says repeats the number.
        problems.append(f"iban {_why(error)}")
    if details.bic:
        problems += _check_bic(details.bic, details.iban[:2])
    return Findings(problems, warnings)


def _check_bic(text: str, country: str) -> list[str]:
    try:
        bic = BIC(text)
    except SchwiftyException as error:
        return [f"bic {_why(error)}"]
    if bic.compact != text:
        return ["bic must be upper case and without spaces"]
    if bic.country_code not in {country} | _TERRITORIES.get(country, set()):
        return [f"bic is of {bic.country_code} and the IBAN of another country"]
    return []


def _check_ach(details: Ach) -> list[str]:
    problems = []
    if not is_routing_number(details.routing):
        problems.append("routing must be nine digits with a right checksum: a digit is mistyped")
    if not re.fullmatch(r"[0-9A-Za-z-]{1,17}", details.account) or not re.search(
        "[1-9A-Za-z]", details.account
    ):
        problems.append("account must be 1 to 17 digits, letters or hyphens, and not only zeros")
    return problems


def is_routing_number(text: str) -> bool:
    """Whether nine digits can be a routing number of the ABA: district, and weights 3-7-1."""
    if not re.fullmatch("[0-9]{9}", text) or not any(int(text[:2]) in each for each in _DISTRICTS):
        return False
    digits = [int(digit) for digit in text]
    return any(digits) and sum(d * w for d, w in zip(digits, (3, 7, 1) * 3, strict=True)) % 10 == 0


def _check_paypal(details: Paypal) -> list[str]:
    # Of what RFC 5322 allows, what PayPal takes.
    fine = len(details.email) <= 127 and re.fullmatch(
        r"[A-Za-z0-9._%+'-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]{2,}", details.email
    )
    return [] if fine else ["email must be an address such as a@example.com, at most 127 long"]


def _why(error: SchwiftyException) -> str:
    if isinstance(error, InvalidChecksumDigits):
        return "has wrong check digits: a character is mistyped or missing"
    if isinstance(error, InvalidCountryCode):
        return "is of no country that has them"
    if isinstance(error, InvalidLength):
        return "is too short or too long"
    return "is not built as those of its country are"


def _has_account(payee: Payee) -> bool:
    """Whether a field that is stored in clear holds an account number."""
    details = payee.details
    number = details.iban if isinstance(details, Iban) else ""
    number = details.account.replace("-", "") if isinstance(details, Ach) else number
    address = payee.address
    for text in (payee.promoter_id, payee.legal_name, *(getattr(address, f) for f in _LENGTHS)):
        compact = re.sub(r"[\s-]", "", text).upper()
        if len(number) >= 6 and number.upper() in compact:
            return True
        if len(compact) >= 15 and IBAN(compact, allow_invalid=True).is_valid:
            return True
    return False


def _is_text(text: str, most: int) -> bool:
    return 1 <= len(text) <= most and text.isprintable() and text == text.strip()


def _is_country(code: str) -> bool:
    # XK has IBANs and no code of ISO's own. `get` would take lower case.
    return code == "XK" or (code.isupper() and pycountry.countries.get(alpha_2=code) is not None)
