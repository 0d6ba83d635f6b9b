"""What payouts are made of: who is paid, how, by whom, and what the bank answers."""

from datetime import date
from typing import Literal

import msgspec

Method = Literal["iban", "ach", "paypal"]
Outcome = Literal["settled", "failed", "returned", "pending"]


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A structured postal address; town and country are what banks insist on."""

    town: str
    country: str
    """ISO 3166 alpha-2."""
    street: str = ""
    building: str = ""
    postcode: str = ""
    region: str = ""


def _hidden(self: object) -> str:
    """Bank details are in no traceback and in no log."""
    return f"{type(self).__name__}(…)"


class Iban(msgspec.Struct, frozen=True, tag_field="method", tag="iban"):
    """An account by IBAN; without spaces, upper case."""

    iban: str
    bic: str = ""

    __repr__ = _hidden


class Ach(msgspec.Struct, frozen=True, tag_field="method", tag="ach"):
    """An account in the United States."""

    routing: str
    """Nine digits with a checksum."""
    account: str
    """At most 17 characters."""
    type: Literal["checking", "savings"] = "checking"
    holder: Literal["business", "person"] = "person"
    """Decides the entry class: CCD or PPD."""

    __repr__ = _hidden


class Paypal(msgspec.Struct, frozen=True, tag_field="method", tag="paypal"):
    """An account at PayPal."""

    email: str

    __repr__ = _hidden


BankDetails = Iban | Ach | Paypal


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """One payment of a batch, as a bank file needs it."""

    line_id: int
    end_to_end_id: str
    """`VL<line_id>`, at most 15 characters: finds the line again in every answer."""
    promoter_id: str
    name: str
    address: Address
    details: BankDetails
    amount_minor: int
    """In minor units of the currency (cents; yen; fils), positive."""
    currency: str
    remittance: str
    """What the payee reads on the bank statement."""


class Payer(msgspec.Struct, frozen=True, kw_only=True):
    """Who pays: the account that batches are paid from."""

    name: str
    address: Address
    details: BankDetails
    company_id: str = ""
    """Given by the bank, ten characters; for NACHA."""
    bank_name: str = ""
    """For NACHA."""


class BatchFile(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into one bank file. Equal values make equal bytes."""

    batch_id: int
    created_at_ms: int
    """Milliseconds since 1970, UTC; fixed at the first export."""
    execution_date: date
    payer: Payer
    transfers: list[Transfer]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a bank says about one transfer, or about a whole file."""

    reference: str
    """The end-to-end id; of a whole file its message id `VLB<batch_id>`."""
    outcome: Outcome
    code: str = ""
    """ISO 20022 reason code, or a NACHA return code."""
    text: str = ""
    amount_minor: int | None = None
    currency: str | None = None
    whole_file: bool = False
    """It is about every transfer of the batch that has no answer of its own."""
