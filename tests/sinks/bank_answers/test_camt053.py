import pytest
from support.bank_replies import booking, detail, statement

from schemas.payout import Answer
from sinks.bank_answers.bank_file import AnswerError
from sinks.bank_answers.read import read_answers

RETURN = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>closed</AddtlInf></RtrInf>"


def code(family: str, sub: str) -> str:
    return (
        f"<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>{family}</Cd><SubFmlyCd>{sub}</SubFmlyCd></Fmly>"
        "</Domn></BkTxCd>"
    )


def paid(reference: str, minor: int = 1050, currency: str = "EUR") -> Answer:
    return Answer(reference=reference, outcome="settled", amount_minor=minor, currency=currency)


@pytest.mark.parametrize(("version", "status"), [("02", "BOOK"), ("08", "<Cd>BOOK</Cd>")])
def test_booked_debits_are_settled(version: str, status: str) -> None:
    found = read_answers(statement(booking("10.50", detail("VL1"), status=status), version=version))
    assert (found.kind, found.message_id) == ("camt.053", "STMT-1")
    assert (found.answers, found.unrelated) == ([paid("VL1")], 0)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("1050", "JPY", 1050), ("1.05", "KWD", 1050), ("10.50000", "EUR", 1050), ("0", "EUR", 0)],
)
def test_minor_units_of_the_currency(amount: str, currency: str, minor: int) -> None:
    content = statement(booking(amount, detail("VL1"), currency=currency))
    assert read_answers(content).answers == [paid("VL1", minor, currency)]


def test_several_transfers_in_one_entry_have_their_own_amounts() -> None:
    details = (
        detail("VL1", '<Amt Ccy="EUR">4.00</Amt>')
        + detail("VL2", '<AmtDtls><TxAmt><Amt Ccy="EUR">6.50</Amt></TxAmt></AmtDtls>')
        + detail("VL3")
        + detail("rent")
    )
    found = read_answers(statement(booking("99", details)))
    assert found.answers == [
        paid("VL1", 400),
        paid("VL2", 650),
        Answer(reference="VL3", outcome="settled"),
    ]
    assert found.unrelated == 1


@pytest.mark.parametrize(
    "mark", [RETURN, code("ICDT", "RRTN"), code("RCDT", "RPCR")], ids=["RtrInf", "RRTN", "RPCR"]
)
def test_marked_credits_are_returned(mark: str) -> None:
    content = statement(booking("10.50", detail("VL1", mark), direction="CRDT"))
    (answer,) = read_answers(content).answers
    assert (answer.reference, answer.outcome, answer.amount_minor) == ("VL1", "returned", 1050)
    if mark == RETURN:
        assert (answer.code, answer.text) == ("AC04", "closed")


def test_a_reversal_is_returned() -> None:
    content = statement(
        booking("1", detail("VL1"), direction="CRDT", more="<RvslInd>true</RvslInd>")
    )
    assert [a.outcome for a in read_answers(content).answers] == ["returned"]


@pytest.mark.parametrize(
    ("direction", "more"),
    [("CRDT", ""), ("DBIT", code("RDDT", "ESDD")), ("DBIT", "<RvslInd>true</RvslInd>")],
)
def test_others_cannot_answer_by_using_our_reference(direction: str, more: str) -> None:
    content = statement(booking("0.01", detail("VL1"), direction=direction, more=more))
    (answer,) = read_answers(content).answers
    assert answer.outcome == "pending"
    assert answer.text


@pytest.mark.parametrize(
    "details",
    [
        "<Btch><MsgId>VLB7</MsgId><NbOfTxs>3</NbOfTxs></Btch>",
        "<Btch><PmtInfId>VLB7-1</PmtInfId></Btch>",
        "<Btch><MsgId>VLB7</MsgId><PmtInfId>VLB7-1</PmtInfId></Btch>",
        "<TxDtls><Refs><MsgId>VLB7</MsgId><EndToEndId>NOTPROVIDED</EndToEndId></Refs></TxDtls>",
    ],
)
def test_a_file_booked_in_one_sum(details: str) -> None:
    found = read_answers(statement(booking("30", details)))
    assert found.answers == [
        Answer(
            reference="VLB7", outcome="settled", amount_minor=3000, currency="EUR", whole_file=True
        )
    ]
    assert found.unrelated == 0


def test_sums_of_one_file_are_added_up() -> None:
    parts = [f"<Btch><PmtInfId>VLB7-{n}</PmtInfId></Btch>" for n in (1, 2)]
    found = read_answers(statement(*(booking("30", part) for part in parts)))
    assert [(a.reference, a.outcome, a.amount_minor) for a in found.answers] == [
        ("VLB7", "settled", 6000)
    ]


def test_details_come_before_the_file() -> None:
    details = "<Btch><MsgId>VLB7</MsgId></Btch>" + detail("VL1")
    assert read_answers(statement(booking("10.50", details))).answers == [paid("VL1")]


@pytest.mark.parametrize(
    "entry",
    [
        booking("5", direction="CRDT"),
        booking("5"),
        booking("5", detail("NOTPROVIDED")),
        booking("5", detail("VLX")),
        booking("5", detail("VL1"), status="<Cd>PDNG</Cd>"),
        booking("5", "<Btch><MsgId>RENT</MsgId></Btch>"),
        booking("5", "<Btch><MsgId>VLB7</MsgId><PmtInfId>VLB8</PmtInfId></Btch>"),
    ],
)
def test_unrelated(entry: str) -> None:
    found = read_answers(statement(entry))
    assert (found.answers, found.unrelated) == ([], 1)


def test_paid_and_returned_in_one_statement() -> None:
    content = statement(
        booking("10.50", detail("VL1")),
        booking("10.50", detail("VL1", RETURN), direction="CRDT"),
    )
    assert [a.outcome for a in read_answers(content).answers] == ["settled", "returned"]


def test_booked_twice_is_for_a_person() -> None:
    found = read_answers(statement(booking("10.50", detail("VL1")), booking("9", detail("VL1"))))
    assert [(a.outcome, a.code, a.amount_minor) for a in found.answers] == [
        ("settled", "", 1050),
        ("pending", "AM05", 900),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (statement(booking("-5", detail("VL1"))), r"line 6: <Amt> is '-5'.*never negative"),
        (statement(booking("1e3")), "'1e3'"),
        (statement(booking("NaN")), "'NaN'"),
        (statement(booking("1.001", detail("VL1"))), "finer than EUR"),
        (statement(booking("1.1", detail("VL1"), currency="JPY")), "finer than JPY"),
        (statement(booking("1", detail("VL1"), currency="XXQ")), "'XXQ' is no currency"),
        (statement(booking("1", detail("VL1"), currency="")), "'' is no currency"),
        (statement(booking("1", detail("VL1"), direction="UP")), "CRDT or DBIT"),
        (statement(booking("1", status="")), "no Sts"),
        (
            statement(booking("1")).replace(b"<Stmt>", b"<Other>").replace(b"</Stmt>", b"</Other>"),
            "no Stmt",
        ),
        (statement("<Ntry/>"), "0 times Amt"),
    ],
)
def test_refused(content: bytes, says: str) -> None:
    with pytest.raises(AnswerError, match=says):
        read_answers(content)
