"""pain.002: the status of a payment file, of its payments, and of single transfers."""

import msgspec
from lxml import etree

from schemas.payout import Answer, Outcome
from sinks.bank_answers.bank_file import AnswerError, BankFile, refuse_repeated
from sinks.bank_answers.iso20022 import amount, children, only, reason, required, text, where

# The external code set of payment status; the older versions have fewer of them.
STATUSES: dict[str, Outcome] = {
    "RJCT": "failed",
    "CANC": "failed",
    "ACSC": "settled",  # settled on our account
    "ACCC": "settled",  # settled on the payee's account
    "ACCP": "pending",
    "ACFC": "pending",
    "ACIS": "pending",
    "ACPD": "pending",
    "ACSP": "pending",
    "ACTC": "pending",
    "ACWC": "pending",
    "ACWP": "pending",
    "BLCK": "pending",
    "CPUC": "pending",
    "PATC": "pending",
    "PDNG": "pending",
    "PRES": "pending",
    "RCVD": "pending",
}
UNDERWAY = {status for status, outcome in STATUSES.items() if outcome == "pending"} - {"BLCK"}
"""What every transfer goes through: without a reason, nobody has to look."""
_LOOK_BELOW = ("", "PART")


def read(root: etree._Element) -> BankFile:
    """The answers of a status report.

    Raises:
        AnswerError: an element is missing, or has a value that is none of the standard's.
    """
    report = only(root, "CstmrPmtStsRpt")
    group = only(report, "OrgnlGrpInfAndSts")
    payments = children(report, "OrgnlPmtInfAndSts")
    answers = _whole_files(group, payments)
    for payment in payments:
        answers += [_transfer(each, payment, group) for each in children(payment, "TxInfAndSts")]
    if not answers:
        raise AnswerError(f"{where(report)} has no status: neither GrpSts, PmtInfSts nor TxSts")
    refuse_repeated(answers)
    return BankFile(
        kind="pain.002", message_id=required(report, "GrpHdr/MsgId"), answers=answers, unrelated=0
    )


def _whole_files(group: etree._Element, payments: list[etree._Element]) -> list[Answer]:
    """What is said of the whole file, and of its payments.

    A file of ours holds one payment or several (`VLB7-1`, `VLB7-2`). The status of one is that of
    the file only if the report shows that there is no other: else the money of the others would
    be given back while the bank pays it. Its own id is then the reference, and a person looks.
    """
    file_id = required(group, "OrgnlMsgId")
    status = text(group, "GrpSts")
    told = [each for each in payments if text(each, "PmtInfSts") not in _LOOK_BELOW]
    if status not in _LOOK_BELOW:
        whole = _answer(group, status, file_id, whole_file=True)
        below = [_payment(each) for each in told]
        if all(each.outcome == whole.outcome for each in below):
            # The reason is often given further below only.
            explained = next((each for each in (whole, *below) if each.code), whole)
            return [msgspec.structs.replace(explained, reference=file_id)]
        return below
    if len(told) == 1 and _is_everything(told[0], group):
        return [msgspec.structs.replace(_payment(told[0]), reference=file_id)]
    return [_payment(each) for each in told]


def _payment(payment: etree._Element) -> Answer:
    reference = required(payment, "OrgnlPmtInfId")
    return _answer(payment, text(payment, "PmtInfSts"), reference, whole_file=True)


def _is_everything(payment: etree._Element, group: etree._Element) -> bool:
    count = text(payment, "OrgnlNbOfTxs")
    return count != "" and count == text(group, "OrgnlNbOfTxs")


def _transfer(transfer: etree._Element, payment: etree._Element, group: etree._Element) -> Answer:
    reference = text(transfer, "OrgnlEndToEndId") or required(transfer, "OrgnlInstrId")
    status = text(transfer, "TxSts")
    # Without one of its own it shares the status of what it is listed under.
    for above in (text(payment, "PmtInfSts"), text(group, "GrpSts")):
        status = status or above
    return _answer(transfer, status, reference, whole_file=False)


def _answer(element: etree._Element, status: str, reference: str, *, whole_file: bool) -> Answer:
    outcome = STATUSES.get(status)
    if outcome is None:
        raise AnswerError(
            f"{where(element)} ({reference}) has status {status!r};"
            f" expected one of {', '.join(sorted(STATUSES))}"
        )
    code, explained = reason(element, "StsRsnInf")
    original = children(element, "OrgnlTxRef/Amt/InstdAmt")
    minor, currency = amount(original[0]) if original else (None, None)
    return Answer(
        reference=reference,
        outcome=outcome,
        code=code,
        text=explained or status,
        amount_minor=minor,
        currency=currency,
        whole_file=whole_file,
    )
