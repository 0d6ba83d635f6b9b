"""CSV: for PayPal's payouts by file, and for everything else."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from schemas.money import minor_decimal
from schemas.payout import Ach, BankDetails, BatchFile, Iban, Paypal, Transfer
from sinks.bank_files.checks import check, common_refusal, message_id
from sinks.bank_files.text import csv_text

ANY_DETAILS = (Iban, Ach, Paypal)
PAYPAL_DETAILS = (Paypal,)
# fmt: off
PAYPAL_CURRENCIES = frozenset({
    "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "JPY",
    "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "TWD", "USD",
})
# fmt: on
PAYPAL_LINES = 5_000
"""What PayPal takes in one file."""

_PAYPAL_WHOLE = {"HUF", "TWD"}
"""PayPal takes no decimals of these, though they have some (of yen there are none)."""
_EMAIL = re.compile(r"[A-Za-z0-9][^@\s,;\"'<>]*@[^@\s,;\"'<>]+\.[^@\s,;\"'<>]+")
# fmt: off
_COLUMNS = [
    "message_id", "created_at", "execution_date", "line_id", "end_to_end_id", "promoter_id",
    "name", "method", "account", "bank", "account_type", "holder", "amount", "currency",
    "remittance", "street", "building", "postcode", "town", "region", "country",
]
# fmt: on


def paypal_csv(file: BatchFile) -> list[bytes]:
    """Files of at most 5,000 lines and one currency each; no header, as PayPal wants them.

    Columns: e-mail, amount, currency, end-to-end id, note, wallet.

    Raises:
        ValueError: no transfers, or one that is refused.
    """
    check(file, paypal_refusal)
    by_currency: dict[str, list[Transfer]] = {}
    for transfer in file.transfers:
        by_currency.setdefault(transfer.currency, []).append(transfer)
    return [
        _csv(_paypal_line(each) for each in transfers[start : start + PAYPAL_LINES])
        for transfers in by_currency.values()
        for start in range(0, len(transfers), PAYPAL_LINES)
    ]


def general_csv(file: BatchFile) -> bytes:
    """All that is known of every transfer, in UTF-8 with a header.

    Text that a spreadsheet would run as a formula begins with an apostrophe.

    Raises:
        ValueError: no transfers, or one that is refused.
    """
    check(file, general_refusal)
    return _csv([_COLUMNS, *_general_lines(file)])


def paypal_refusal(transfer: Transfer) -> str | None:
    """Why PayPal's file cannot carry a transfer; None: it can."""
    if why := common_refusal(transfer, PAYPAL_DETAILS, PAYPAL_CURRENCIES):
        return why
    assert isinstance(transfer.details, Paypal)
    email = transfer.details.email
    if len(email) > 127 or not email.isprintable() or not _EMAIL.fullmatch(email):
        return "the e-mail address is not one that PayPal's file takes"
    if transfer.currency in _PAYPAL_WHOLE and transfer.amount_minor % 100:
        return f"PayPal pays {transfer.currency} in whole units only"
    return None


def general_refusal(transfer: Transfer) -> str | None:
    """Why the general file cannot carry a transfer; None: it can."""
    if why := common_refusal(transfer, ANY_DETAILS):
        return why
    # Of a text it does no harm.
    if any(csv_text(part) != part for part in _account(transfer.details)):
        return "the account would begin with an apostrophe, as a formula does; take another format"
    return None


def _paypal_line(transfer: Transfer) -> list[str]:
    assert isinstance(transfer.details, Paypal)
    amount = minor_decimal(transfer.amount_minor, transfer.currency)
    shown = f"{amount:.0f}" if transfer.currency in _PAYPAL_WHOLE else f"{amount:f}"
    note = csv_text(transfer.remittance)[:400]
    email = transfer.details.email
    return [email, shown, transfer.currency, transfer.end_to_end_id, note, "PAYPAL"]


def _general_lines(file: BatchFile) -> Iterator[list[str]]:
    created = datetime.fromtimestamp(file.created_at_ms // 1000, UTC)
    head = [message_id(file.batch_id), f"{created:%Y-%m-%dT%H:%M:%SZ}", f"{file.execution_date}"]
    for each in file.transfers:
        address = each.address
        texts = [each.end_to_end_id, each.promoter_id, each.name, *_account(each.details)]
        amount = f"{minor_decimal(each.amount_minor, each.currency):f}"
        places = [address.street, address.building, address.postcode, address.town, address.region]
        yield [
            *head,
            str(each.line_id),
            *map(csv_text, texts),
            amount,
            each.currency,
            *map(csv_text, [each.remittance, *places, address.country]),
        ]


def _account(details: BankDetails) -> tuple[str, str, str, str, str]:
    match details:
        case Iban(iban, bic):
            return "iban", iban, bic, "", ""
        case Ach(routing, account, kind, holder):
            return "ach", account, routing, kind, holder
        case Paypal(email):
            return "paypal", email, "", "", ""


def _csv(lines: Iterable[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(lines)
    return out.getvalue().encode()
