"""Who gets paid: name, address, account and tax status of a promoter."""

from typing import Literal

import msgspec

from schemas.payout import Ach, Address, BankDetails, Iban, Method

TaxForm = Literal["none", "w9", "w8"]


class Payee(msgspec.Struct, frozen=True, kw_only=True):
    """What a promoter is paid by. Its repr shows the account masked."""

    promoter_id: str
    legal_name: str
    address: Address
    currency: str
    details: BankDetails
    tax_form: TaxForm = "none"
    backup_withholding: bool = False

    @property
    def method(self) -> Method:
        """How the money goes; the tag of `details`."""
        return self.details.__struct_config__.tag  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"Payee({self.promoter_id!r}, {self.currency}, {mask(self.details)!r})"


def mask(details: BankDetails) -> str:
    """What may be shown of an account: enough for the payee to recognise it.

    `DE89 **** **** 3000`, `021000021 **** 6789`, `a***@example.com`. Of a short account number
    at most half is shown.
    """
    if isinstance(details, Iban):
        return f"{details.iban[:4]} **** **** {details.iban[-4:]}"
    if isinstance(details, Ach):
        number = details.account
        return f"{details.routing} **** {number[max(len(number) - 4, (len(number) + 1) // 2) :]}"
    local, _, domain = details.email.rpartition("@")
    return f"{local[:1]}***@{domain}"
