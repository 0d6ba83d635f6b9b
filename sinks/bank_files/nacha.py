"""NACHA: ACH credits to accounts in the United States, in records of 94 characters."""

import re
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

from schemas.payout import Ach, BatchFile, Transfer
from sinks.bank_files.checks import check, common_refusal, message_id
from sinks.bank_files.text import ascii_text

DETAILS = (Ach,)
CURRENCIES = frozenset({"USD"})
MAX_MINOR = 9_999_999_999
"""99,999,999.99 USD: an entry's ten digits."""

_RECORDS_PER_BLOCK = 10
_MODIFIERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_CREDIT = {"checking": 22, "savings": 32}
_DEBIT = {"checking": 27, "savings": 37}
_ENTRY_CLASS = {"business": "CCD", "person": "PPD"}
_ACCOUNT = re.compile("[A-Za-z0-9-]{1,17}")


class _Entry(NamedTuple):
    code: int
    account: Ach
    amount_minor: int
    reference: str
    name: str


def nacha(file: BatchFile, *, balanced: bool) -> bytes:
    """One batch to businesses (CCD) and one to persons (PPD), as far as there are any.

    `balanced`: each batch debits the payer with its total as well; some banks want that. Times are
    UTC. Trace numbers count through the file. An individual id is an end-to-end id.

    Raises:
        ValueError: no transfers, one that is refused, a total beyond twelve digits, or a payer
            without an ACH account, a company id of ten characters and the bank's name.
    """
    check(file, refusal)
    payer = _payer_account(file)
    batches: list[tuple[str, list[_Entry]]] = []
    for holder, entry_class in _ENTRY_CLASS.items():
        if entries := [_credit(each) for each in file.transfers if _account(each).holder == holder]:
            offsets = _offsets(file, payer, entries) if balanced else []
            batches.append((entry_class, entries + offsets))
    everything = list(chain.from_iterable(entries for _, entries in batches))

    records = [_file_header(file, payer)]
    trace = 1
    for number, (entry_class, entries) in enumerate(batches, start=1):
        service = 200 if balanced else 220
        ends = f"{payer.routing[:8]}{_number(number, 7)}"
        company = _text(file.payer.company_id, 10)
        records.append(f"5{service}{_batch_header(file, company, entry_class)}{ends}")
        for entry in entries:
            records.append(f"6{_detail(entry)}{payer.routing[:8]}{_number(trace, 7)}")
            trace += 1
        records.append(f"8{service}{_control(entries, 6)}{company}{'':25}{ends}")
    blocks = -(-(len(records) + 1) // _RECORDS_PER_BLOCK)
    counts = f"{_number(len(batches), 6)}{_number(blocks, 6)}"
    records.append(f"9{counts}{_control(everything, 8)}{'':39}")
    records += ["9" * 94] * (blocks * _RECORDS_PER_BLOCK - len(records))
    return "".join(f"{record}\n" for record in records).encode("ascii")


def refusal(transfer: Transfer) -> str | None:
    """Why NACHA cannot carry a transfer; None: it can."""
    if why := common_refusal(transfer, DETAILS, CURRENCIES):
        return why
    if transfer.amount_minor > MAX_MINOR:
        return "the amount is beyond the 99,999,999.99 USD of one entry; pay it in parts"
    return _account_refusal(_account(transfer))


def _account_refusal(account: Ach) -> str | None:
    digits = account.routing
    weighted = re.fullmatch("[0-9]{9}", digits) and sum(
        int(digit) * weight for digit, weight in zip(digits, (3, 7, 1) * 3, strict=True)
    )
    if not weighted or weighted % 10:
        return "the routing number is not nine digits with their checksum"
    if not _ACCOUNT.fullmatch(account.account):
        return "the account number is not 1 to 17 letters, digits and hyphens"
    return None


def _payer_account(file: BatchFile) -> Ach:
    payer = file.payer
    why = None
    if not isinstance(payer.details, Ach):
        why = "no account by routing and account number"
    elif not re.fullmatch("[A-Za-z0-9 ]{10}", payer.company_id):
        why = f"the company id is {payer.company_id!r}, not the ten characters the bank has given"
    elif not ascii_text(payer.bank_name, 23) or not ascii_text(payer.name, 16):
        why = "its name and its bank's name are needed"
    if why := why or _account_refusal(payer.details):  # type: ignore[arg-type]
        raise ValueError(f"the payer cannot pay by NACHA: {why}")
    assert isinstance(payer.details, Ach)
    return payer.details


def _account(transfer: Transfer) -> Ach:
    assert isinstance(transfer.details, Ach)
    return transfer.details


def _credit(transfer: Transfer) -> _Entry:
    account = _account(transfer)
    code = _CREDIT[account.type]
    return _Entry(code, account, transfer.amount_minor, transfer.end_to_end_id, transfer.name)


def _offsets(file: BatchFile, payer: Ach, entries: list[_Entry]) -> list[_Entry]:
    parts = []
    left = sum(entry.amount_minor for entry in entries)
    while left:  # more than one, where the total does not fit into an entry
        parts.append(min(left, MAX_MINOR))
        left -= parts[-1]
    code, reference = _DEBIT[payer.type], message_id(file.batch_id)
    return [_Entry(code, payer, part, reference, file.payer.name) for part in parts]


def _file_header(file: BatchFile, payer: Ach) -> str:
    created = f"{_created(file):%y%m%d%H%M}"
    # Tells the files of one day apart.
    modifier = _MODIFIERS[file.batch_id % len(_MODIFIERS)]
    names = f"{_text(file.payer.bank_name, 23)}{_text(file.payer.name, 23)}"
    origin = _text(file.payer.company_id, 10)
    return f"101 {payer.routing}{origin}{created}{modifier}094101{names}{'':8}"


def _batch_header(file: BatchFile, company: str, entry_class: str) -> str:
    names = f"{_text(file.payer.name, 16)}{_text(message_id(file.batch_id), 20)}{company}"
    dates = f"{_created(file):%y%m%d}{file.execution_date:%y%m%d}"
    return f"{names}{entry_class}{_text('PAYOUT', 10)}{dates}   1"


def _detail(entry: _Entry) -> str:
    account = f"{entry.code}{entry.account.routing}{entry.account.account:17}"
    amount = _number(entry.amount_minor, 10)
    return f"{account}{amount}{_text(entry.reference, 15)}{_text(entry.name, 22)}  0"


def _control(entries: list[_Entry], count_digits: int) -> str:
    hashed = sum(int(entry.account.routing[:8]) for entry in entries) % 10**10
    debit = sum(entry.amount_minor for entry in entries if entry.code in _DEBIT.values())
    credit = sum(entry.amount_minor for entry in entries if entry.code in _CREDIT.values())
    counts = f"{_number(len(entries), count_digits)}{_number(hashed, 10)}"
    return f"{counts}{_number(debit, 12)}{_number(credit, 12)}"


def _created(file: BatchFile) -> datetime:
    return datetime.fromtimestamp(file.created_at_ms // 1000, UTC)


def _text(text: str, width: int) -> str:
    return ascii_text(text, width).upper().ljust(width)


def _number(number: int, width: int) -> str:
    if number >= 10**width:
        raise ValueError(f"{number} does not fit into {width} digits of NACHA; draft less at once")
    return f"{number:0{width}}"
