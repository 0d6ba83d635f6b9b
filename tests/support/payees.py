"""Payees for tests; numbers are those of examples in the standards."""

import base64
import secrets
from typing import Any

from support.ledger import name

from schemas.payee import Payee
from schemas.payout import Ach, Address, BankDetails, Iban, Paypal
from schemas.seal_keys import Keys, parse_keys

IBAN = "DE89370400440532013000"
OTHER_IBAN = "DE75512108001245126199"
DETAILS: list[BankDetails] = [
    Iban(IBAN, "COBADEFFXXX"),
    Ach("021000021", "123456789", "savings", "business"),
    Paypal("ada@example.com"),
]


def payee(**fields: Any) -> Payee:
    """A payee that can be paid, of a new promoter."""
    details = fields.get("details", DETAILS[0])
    known = {
        "promoter_id": name("p"),
        "legal_name": "Ada Müller",
        "address": Address(town="Berlin", country="DE", street="Unter den Linden", building="1"),
        "currency": "USD" if isinstance(details, Ach) else "EUR",
        "details": details,
    }
    return Payee(**(known | fields))


def key(key_id: str = "a") -> str:
    """A fresh key as the setting has it."""
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def new_keys(*ids: str) -> Keys:
    """Fresh keys, the first one sealing."""
    return parse_keys(",".join(key(each) for each in ids or ("a",)))
