"""NACHA: returned entries (addenda 99) and notifications of change (addenda 98)."""

import re

from schemas.payout import Answer, Outcome
from sinks.bank_answers.bank_file import AnswerError, BankFile, refuse_repeated
from sinks.bank_answers.nacha_codes import CHANGES, RETURNS, is_dispute
from sinks.bank_answers.nacha_records import Entry, Record, entries, records

_CODES = {"99": re.compile("R[0-9]{2}"), "98": re.compile("C[0-9]{2}")}
_PRENOTES = ("23", "28", "33", "38")
# Its entries are laid out in another way, and none of ours is international.
_INTERNATIONAL = "IAT"


def read(content: bytes) -> BankFile:
    """The answers of a file of returns.

    Raises:
        AnswerError: damaged, incomplete, or not a file of NACHA.
    """
    lines = records(content)
    header = lines[0]
    if header.text[34:40] != "094101":
        raise AnswerError("line 1, positions 35 to 40: expected 094101 in a file header")
    answers = [answer for entry in entries(lines) if (answer := _answer(entry)) is not None]
    refuse_repeated(answers)
    return BankFile(
        kind="nacha",
        # who sent it, the day and the time, and the letter that tells files of a day apart
        message_id=f"{header.text[13:23].strip()}-{header.text[23:29]}-{header.text[29:34].strip()}",
        answers=answers,
        unrelated=sum(1 for line in lines if line.text[0] == "6") - len(answers),
    )


def _answer(entry: Entry) -> Answer | None:
    """None: neither a return nor a change of a payment, but a prenote or money from others."""
    told = [each for each in entry.addenda if each.text[1:3] in _CODES]
    detail = entry.detail
    if len(told) > 1:
        raise AnswerError(f"line {told[1].line}: a second reason for the entry above")
    if detail.text[78] not in "01" or (detail.text[78] == "1") != bool(entry.addenda):
        raise AnswerError(
            f"line {detail.line}, position 79: {detail.text[78]!r}, but"
            f" {len(entry.addenda)} addenda records follow"
        )
    if not told or entry.entry_class == _INTERNATIONAL or detail.text[1:3] in _PRENOTES:
        return None
    addenda = told[0]
    kind, code = addenda.text[1:3], addenda.text[3:6]
    if _CODES[kind].fullmatch(code) is None:
        raise AnswerError(f"line {addenda.line}, positions 4 to 6: {code!r} is no code of NACHA")
    amount = detail.digits(30, 39, "amount")
    if kind == "99" and not amount:
        return None  # what comes back of a prenote
    return _returned(entry, addenda, code, amount)


def _returned(entry: Entry, addenda: Record, code: str, amount: int) -> Answer:
    addenda.digits(7, 21, "original trace number")
    trace = addenda.text[6:21]
    is_return = code[0] == "R"
    outcome: Outcome = "returned" if is_return and not is_dispute(code) else "pending"
    meaning = (RETURNS if is_return else CHANGES).get(code, "a code that is not in our table")
    if is_return and entry.is_debit:
        # We only pay: this is the debit of our own account in a balanced file, or not ours.
        outcome, meaning = "pending", f"return of a debit: {meaning}"
    # The corrected data of a change is an account: it stays in the bank's file.
    place = "" if is_return else f"; see line {addenda.line} of the bank's file"
    return Answer(
        reference=entry.detail.text[39:54].strip() or f"trace {trace}",
        outcome=outcome,
        code=code,
        text=f"{meaning} (trace {trace}){place}",
        amount_minor=amount or None,
        currency="USD" if amount else None,
    )
