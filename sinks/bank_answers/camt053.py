"""camt.053: the statement of an account; what left it is settled, what came back is returned."""

import msgspec
from lxml import etree

from schemas.payout import Answer, Outcome
from sinks.bank_answers.bank_file import AnswerError, BankFile, batch_of, is_line
from sinks.bank_answers.iso20022 import amount, children, only, reason, required, text, where

# Bank transaction codes: reversal due to a return, or to a request for cancellation.
_REVERSALS = ("RRTN", "RPCR")
_COLLECTED = "RDDT"  # a direct debit: somebody else drew it, and chose its reference
_AMOUNTS = ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt")


def read(root: etree._Element) -> BankFile:
    """The answers in all statements of the file.

    Raises:
        AnswerError: an element is missing, or has a value that is none of the standard's.
    """
    message = only(root, "BkToCstmrStmt")
    statements = children(message, "Stmt")
    if not statements:
        raise AnswerError(f"{where(message)} has no Stmt")
    answers: list[Answer] = []
    unrelated = 0
    for entry in (each for statement in statements for each in children(statement, "Ntry")):
        found, others = _entry(entry)
        answers += found
        unrelated += others
    return BankFile(
        kind="camt.053",
        message_id=required(message, "GrpHdr/MsgId"),
        answers=_repeated(answers),
        unrelated=unrelated,
    )


def _entry(entry: etree._Element) -> tuple[list[Answer], int]:
    """The answers of one entry, and how many of its transactions are none of ours."""
    amount(only(entry, "Amt"))
    details = children(entry, "NtryDtls/TxDtls")
    status = text(entry, "Sts/Cd") or required(entry, "Sts")
    if status != "BOOK":
        return [], len(details) or 1
    ours = [each for each in details if is_line(text(each, "Refs/EndToEndId"))]
    if ours:
        answers = [
            _answer(each, entry, text(each, "Refs/EndToEndId"), alone=len(details) == 1)
            for each in ours
        ]
        return answers, len(details) - len(ours)
    # Booked in one sum: the bank names only our file, or one of its payments.
    named = {
        batch_of(text(place, path))
        for place, paths in (
            *((each, ("MsgId", "PmtInfId")) for each in children(entry, "NtryDtls/Btch")),
            *((each, ("Refs/MsgId", "Refs/PmtInfId")) for each in details),
        )
        for path in paths
    } - {""}
    if len(named) != 1:
        return [], len(details) or 1
    return [_answer(entry, entry, named.pop(), alone=True, whole_file=True)], 0


def _answer(
    element: etree._Element,
    entry: etree._Element,
    reference: str,
    *,
    alone: bool,
    whole_file: bool = False,
) -> Answer:
    direction = text(element, "CdtDbtInd") or required(entry, "CdtDbtInd")
    if direction not in ("CRDT", "DBIT"):
        raise AnswerError(f"{where(entry)} has CdtDbtInd {direction!r}; expected CRDT or DBIT")
    code, explained = reason(element, "RtrInf")
    family = {_bank_code(element, "Cd"), _bank_code(entry, "Cd")}
    reversal = {_bank_code(element, "SubFmlyCd"), _bank_code(entry, "SubFmlyCd")}
    came_back = (
        bool(children(element, "RtrInf"))
        or text(entry, "RvslInd") in ("true", "1")
        or not reversal.isdisjoint(_REVERSALS)
    )
    outcome: Outcome
    # Whoever pays us, or collects from us, chooses the reference: without the bank's own mark
    # of a return a credit moves nothing, or one cent with our reference would pay a line again.
    if direction == "CRDT":
        outcome = "returned" if came_back else "pending"
        explained = explained or ("" if came_back else "a credit that is not marked as a return")
    elif came_back or _COLLECTED in family:
        outcome = "pending"
        explained = explained or "a debit that is not a transfer of ours"
    else:
        outcome = "settled"
    minor, currency = _amount(element, entry, alone)
    return Answer(
        reference=reference,
        outcome=outcome,
        code=code,
        text=explained,
        amount_minor=minor,
        currency=currency,
        whole_file=whole_file,
    )


def _amount(
    element: etree._Element, entry: etree._Element, alone: bool
) -> tuple[int, str] | tuple[None, None]:
    """What was booked; the entry's own amount only if nothing else is in it."""
    for path in _AMOUNTS:
        if found := children(element, path):
            return amount(found[0])
    return amount(only(entry, "Amt")) if alone else (None, None)


def _bank_code(element: etree._Element, name: str) -> str:
    return text(element, f"BkTxCd/Domn/Fmly/{name}")


def _repeated(answers: list[Answer]) -> list[Answer]:
    """A transfer that is booked twice is paid twice: the second one is for a person to see.

    A file of ours may be booked in several sums, one for each of its payments: they are added up,
    so that whoever compares with the batch sees whether it is all of it, and not more.
    """
    first: dict[tuple[str, Outcome], int] = {}
    result: list[Answer] = []
    for answer in answers:
        at = first.setdefault((answer.reference, answer.outcome), len(result))
        if at == len(result) or answer.outcome == "pending":
            result.append(answer)
        elif answer.whole_file and answer.currency == result[at].currency:
            total = (result[at].amount_minor or 0) + (answer.amount_minor or 0)
            result[at] = msgspec.structs.replace(result[at], amount_minor=total)
        else:
            seen = f"{answer.outcome} a second time in the same statement"
            again = msgspec.structs.replace(answer, outcome="pending", code="AM05", text=seen)
            result.append(again)
    return result
