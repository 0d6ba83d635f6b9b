import pytest
from support.bank_replies import payment_status, status_report, transfer_status

from schemas.payout import Answer, Outcome
from sinks.bank_answers.bank_file import AnswerError
from sinks.bank_answers.read import read_answers

REJECTED = "<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>Account closed</AddtlInf></StsRsnInf>"


@pytest.mark.parametrize("version", ["03", "10", "14"])
@pytest.mark.parametrize(
    ("status", "outcome"),
    [("RJCT", "failed"), ("ACSC", "settled"), ("ACCP", "pending"), ("ACTC", "pending")],
)
def test_of_a_whole_file(version: str, status: str, outcome: Outcome) -> None:
    found = read_answers(status_report(f"<GrpSts>{status}</GrpSts>", version=version))
    assert (found.kind, found.message_id, found.unrelated) == ("pain.002", "STS-1", 0)
    assert found.answers == [
        Answer(reference="VLB7", outcome=outcome, text=status, whole_file=True)
    ]


def test_of_single_transfers_in_part() -> None:
    amount = '<OrgnlTxRef><Amt><InstdAmt Ccy="KWD">1.234</InstdAmt></Amt></OrgnlTxRef>'
    transfers = (
        transfer_status("VL1", "RJCT", REJECTED + amount)
        + transfer_status("VL2", "ACSC")
        + transfer_status("VL3", "PDNG")
        + transfer_status("NOTPROVIDED", "ACCC")
    )
    found = read_answers(
        status_report(
            "<GrpSts>PART</GrpSts>", payment_status("<PmtInfSts>PART</PmtInfSts>" + transfers)
        )
    )
    assert found.answers == [
        Answer(
            reference="VL1",
            outcome="failed",
            code="AC04",
            text="Account closed",
            amount_minor=1234,
            currency="KWD",
        ),
        Answer(reference="VL2", outcome="settled", text="ACSC"),
        Answer(reference="VL3", outcome="pending", text="PDNG"),
        Answer(reference="NOTPROVIDED", outcome="settled", text="ACCC"),
    ]


def test_a_transfer_without_status_has_that_of_its_payment() -> None:
    payment = payment_status("<PmtInfSts>RJCT</PmtInfSts>" + transfer_status("VL1", "", REJECTED))
    assert read_answers(status_report("", payment)).answers[-1] == Answer(
        reference="VL1", outcome="failed", code="AC04", text="Account closed"
    )


def test_the_reason_of_a_rejected_file_may_stand_at_its_payment() -> None:
    payment = payment_status(f"<PmtInfSts>RJCT</PmtInfSts>{REJECTED}")
    assert read_answers(status_report("<GrpSts>RJCT</GrpSts>", payment)).answers == [
        Answer(
            reference="VLB7",
            outcome="failed",
            code="AC04",
            text="Account closed",
            whole_file=True,
        )
    ]


def test_several_reasons_and_proprietary_ones() -> None:
    reasons = (
        "<StsRsnInf><Rsn><Prtry>X1</Prtry></Rsn><AddtlInf>one\n  line</AddtlInf></StsRsnInf>"
        "<StsRsnInf><Rsn><Cd>AM02</Cd></Rsn><AddtlInf>too much</AddtlInf></StsRsnInf>"
    )
    (answer,) = read_answers(status_report(f"<GrpSts>RJCT</GrpSts>{reasons}")).answers
    assert (answer.code, answer.text) == ("X1", "one line AM02 too much")


@pytest.mark.parametrize(
    ("in_group", "in_payment", "reference"),
    [("5", "5", "VLB7"), ("5", "3", "VLB7-1"), ("5", "", "VLB7-1"), ("", "", "VLB7-1")],
)
def test_a_payment_is_the_file_only_if_it_counts_as_many(
    in_group: str, in_payment: str, reference: str
) -> None:
    def count(number: str) -> str:
        return f"<OrgnlNbOfTxs>{number}</OrgnlNbOfTxs>" if number else ""

    payment = payment_status(f"{count(in_payment)}<PmtInfSts>RJCT</PmtInfSts>")
    found = read_answers(status_report(f"{count(in_group)}<GrpSts>PART</GrpSts>", payment))
    assert [(a.reference, a.outcome, a.whole_file) for a in found.answers] == [
        (reference, "failed", True)
    ]


def test_payments_that_differ_from_their_file_are_not_the_file() -> None:
    payments = payment_status("<PmtInfSts>ACSC</PmtInfSts>") + payment_status(
        "<PmtInfSts>RJCT</PmtInfSts>", 2
    )
    found = read_answers(status_report("<GrpSts>ACSC</GrpSts>", payments))
    assert [(a.reference, a.outcome) for a in found.answers] == [
        ("VLB7-1", "settled"),
        ("VLB7-2", "failed"),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (status_report(), "no status"),
        (status_report("<GrpSts>PART</GrpSts>"), "no status"),
        (status_report("<GrpSts>OK</GrpSts>"), r"line 5: .*'OK'; expected one of"),
        (status_report("", payment_status(transfer_status("VL1", ""))), "VL1.*''"),
        (status_report("", payment_status("<TxInfAndSts/>")), "no OrgnlInstrId"),
        (
            status_report("", payment_status("<PmtInfSts>RJCT</PmtInfSts>").replace("VLB7-1", "")),
            "no OrgnlPmtInfId",
        ),
        (status_report("<GrpSts>RJCT</GrpSts>").replace(b"STS-1", b""), "no GrpHdr/MsgId"),
        (status_report().replace(b"CstmrPmtStsRpt", b"Other"), "0 times CstmrPmtStsRpt"),
        (
            status_report(
                "", payment_status(transfer_status("VL1", "RJCT") + transfer_status("VL1", "ACSC"))
            ),
            "VL1 is answered twice",
        ),
        (status_report(f"<GrpSts>{'A' * 141}</GrpSts>"), "141 characters"),
    ],
)
def test_refused(content: bytes, says: str) -> None:
    with pytest.raises(AnswerError, match=says):
        read_answers(content)
