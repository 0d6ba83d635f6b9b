"""What every format asks of a batch and its transfers."""

import re
from collections.abc import Callable, Collection

from schemas.money import exponent
from schemas.payout import BankDetails, BatchFile, Transfer
from sinks.bank_files.text import ascii_text

Refusal = Callable[[Transfer], str | None]
"""Why a format cannot carry a transfer; None: it can. Says nothing of bank details."""

_REFERENCE = re.compile("[A-Z0-9]{1,15}")
_SHOWN = 5


def message_id(batch_id: int) -> str:
    """The name of a whole file, which the bank's answers repeat."""
    return f"VLB{batch_id}"


def common_refusal(
    transfer: Transfer,
    details: tuple[type[BankDetails], ...],
    currencies: Collection[str] | None = None,
) -> str | None:
    """Why no file of a format that pays to `details` in `currencies` can carry a transfer."""
    if not isinstance(transfer.details, details):
        return f"the payee is paid by {_method(type(transfer.details))}, not {_methods(details)}"
    if currencies is not None and transfer.currency not in currencies:
        return f"{transfer.currency} is not paid in this format, only {_listed(currencies)}"
    try:
        exponent(transfer.currency)
    except ValueError as error:
        return str(error)
    if transfer.amount_minor < 1:
        return f"the amount is {transfer.amount_minor}; only more than nothing can be paid"
    if not any(character.isalnum() for character in ascii_text(transfer.name, 70)):
        return "nothing is left of the payee's name in the characters banks take; correct it"
    if not _REFERENCE.fullmatch(transfer.end_to_end_id):
        return f"the end-to-end id {transfer.end_to_end_id!r} is not 1 to 15 of A-Z and 0-9"
    return None


def check(file: BatchFile, refusal: Refusal) -> None:
    """A writer's first step: it writes all of a batch, or nothing.

    Raises:
        ValueError: no transfers, a transfer that is refused, two with one end-to-end id.
    """
    name = f"batch {file.batch_id}"
    if not file.transfers:
        raise ValueError(f"{name} has no transfers, so there is no file to write")
    reasons = [(each.line_id, why) for each in file.transfers if (why := refusal(each))]
    if reasons:
        shown = "; ".join(f"line {line_id}: {why}" for line_id, why in reasons[:_SHOWN])
        more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
        raise ValueError(f"{name} cannot be written in this format: {shown}{more}")
    if len({each.end_to_end_id for each in file.transfers}) < len(file.transfers):
        raise ValueError(f"{name} has an end-to-end id twice; its answers could not be told apart")


def _method(details: type[BankDetails]) -> str:
    return str(details.__struct_config__.tag)


def _methods(details: tuple[type[BankDetails], ...]) -> str:
    return " or ".join(_method(each) for each in details)


def _listed(currencies: Collection[str]) -> str:
    return ", ".join(sorted(currencies))
