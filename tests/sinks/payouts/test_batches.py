"""Drafting, approving, exporting and the bank's answers, as finance does it."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from psycopg.errors import LockNotAvailable
from support.bank_replies import (
    booking,
    detail,
    payment_status,
    statement,
    status_report,
    transfer_status,
)
from support.ledger import name
from support.payees import OTHER_IBAN, new_keys, payee
from support.payouts import PAYER, TODAY, earn, money, new_campaign, new_promoter

from schemas.payee import Payee
from schemas.payout import Ach, Answer, Iban, Paypal
from schemas.seal_keys import Keys
from schemas.settings import Settings
from sinks.bank_files.formats import FORMATS
from sinks.chain import verify_chain
from sinks.correct import correct
from sinks.ledger_verify import verify_ledger
from sinks.payees import load_payees, save_payees, verify_payee
from sinks.payouts.answers import import_answers, load_puzzles, mark
from sinks.payouts.approve import approve, cancel
from sinks.payouts.batch import Batch, PayoutError, load_batch
from sinks.payouts.draft import Left, draft
from sinks.payouts.export import export
from sinks.payouts.payer import load_payer
from sinks.postgres import Connection, connect
from sinks.sealing import SealError
from sinks.settle import settle

pytestmark = pytest.mark.services

PAIN = "pain.001.001.09"


def drafted(conn: Connection, currency: str = "EUR", minimum: int = 0) -> Batch:
    made = draft(conn, currency, None, minimum, actor="anna", key=name("key")).batch
    assert made is not None
    return made


def exported(conn: Connection, keys: Keys) -> Batch:
    batch = drafted(conn)
    approve(conn, batch.batch_id, actor="ben")
    export(conn, keys, PAYER, batch.batch_id, PAIN, TODAY, actor="ben")
    return load_batch(conn, batch.batch_id)


@pytest.fixture
def paid(conn: Connection, keys: Keys) -> list[str]:
    """Three promoters with 1.234 EUR payable each, in the order of the lines."""
    campaign = new_campaign(conn, rate_micros=1000)
    promoters = sorted(new_promoter(conn, keys) for _ in range(3))
    for promoter in promoters:
        accrual = earn(conn, campaign, promoter, 1235)
        correct(conn, accrual, 1, reason="bot", actor="fred", key=name("key"))
    settle(conn)
    return promoters


def test_amounts_are_rounded_down_and_the_rest_stays(conn: Connection, paid: list[str]) -> None:
    batch = drafted(conn)
    assert [line.amount_minor for line in batch.lines] == [123, 123, 123]
    assert money(conn, paid[0]) == {"promoter_payable": 4_000, "payout_clearing": 1_230_000}
    assert draft(conn, "EUR", None, 0, actor="anna", key=name("key")).batch is None
    assert cancel(conn, batch.batch_id, actor="anna", reason="wrong day").status == "cancelled"
    assert money(conn, paid[0]) == {"promoter_payable": 1_234_000}
    assert cancel(conn, batch.batch_id, actor="anna", reason="again").status == "cancelled"


def test_who_is_left_out_and_why(conn: Connection, keys: Keys, paid: list[str]) -> None:
    verified, edited, suspended = paid
    save_payees(conn, keys, [payee(promoter_id=edited, details=Iban(OTHER_IBAN))], actor="paula")
    conn.execute("UPDATE promoters SET status = 'suspended' WHERE promoter_id = %s", (suspended,))
    found = draft(conn, "EUR", None, 0, actor="anna", key=name("key"))
    assert found.batch is not None
    assert [line.promoter_id for line in found.batch.lines] == [verified]
    mine = {one for one in found.left if one.promoter_id in paid}
    assert mine == {
        Left(edited, 1_234_000, "the payee is not verified"),
        Left(suspended, 1_234_000, "the promoter is suspended"),
    }
    assert draft(conn, "EUR", None, 2_000_000, actor="anna", key=name("key")).batch is None


def test_what_became_payable_later_is_left(conn: Connection, keys: Keys, paid: list[str]) -> None:
    (noon,) = conn.execute("SELECT clock_timestamp()").fetchall()[0]
    earn(conn, new_campaign(conn), paid[0], 5000)
    settle(conn)
    batch = draft(conn, "EUR", noon, 0, actor="anna", key=name("key")).batch
    assert batch is not None
    assert {line.amount_minor for line in batch.lines} == {123}
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(PayoutError, match="in the future"):
        draft(conn, "EUR", tomorrow, 0, actor="anna", key=name("key"))


def test_two_people(conn: Connection, paid: list[str]) -> None:
    batch = drafted(conn)
    for same in ("anna", " Anna "):
        with pytest.raises(PayoutError, match="somebody else"):
            approve(conn, batch.batch_id, actor=same)
    with pytest.raises(PayoutError, match="--actor is empty"):
        approve(conn, batch.batch_id, actor=" ")
    done = approve(conn, batch.batch_id, actor="ben")
    assert done.chain_head == verify_chain(conn).head
    assert approve(conn, batch.batch_id, actor="ben") == done
    with pytest.raises(PayoutError, match="approved by ben"):
        approve(conn, batch.batch_id, actor="carl")


def test_only_one_of_many_approves(payout_books: Settings, conn: Connection, paid: object) -> None:
    batch = drafted(conn)

    def one(actor: str) -> str:
        with connect(payout_books) as mine:
            try:
                return str(approve(mine, batch.batch_id, actor=actor).approved_by)
            except PayoutError:
                return "refused"

    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(one, ["ben", "carl", "dora", "emil"]))
    assert said.count("refused") == 3


def test_a_payee_edited_between_the_steps_is_not_paid(
    conn: Connection, keys: Keys, paid: list[str]
) -> None:
    batch = drafted(conn)
    thief = payee(promoter_id=paid[0], details=Iban(OTHER_IBAN))
    save_payees(conn, keys, [thief], actor="paula")
    with pytest.raises(PayoutError, match=f"{paid[0]}.*edited since"):
        approve(conn, batch.batch_id, actor="ben")
    verify_payee(conn, paid[0], actor="vera")
    with pytest.raises(PayoutError, match="edited since"):
        approve(conn, batch.batch_id, actor="ben")
    cancel(conn, batch.batch_id, batch.lines[0].line_id, actor="ben", reason="edited")
    approve(conn, batch.batch_id, actor="ben")
    save_payees(conn, keys, [payee(promoter_id=paid[1], details=Iban(OTHER_IBAN))], actor="paula")
    with pytest.raises(PayoutError, match=f"{paid[1]}.*edited since"):
        export(conn, keys, PAYER, batch.batch_id, PAIN, TODAY, actor="ben")
    cancel(conn, batch.batch_id, batch.lines[1].line_id, actor="ben", reason="edited")
    (file,) = export(conn, keys, PAYER, batch.batch_id, PAIN, TODAY, actor="ben")
    assert file.content.count(OTHER_IBAN.encode()) == 1  # the payer's own
    assert file.content.count(b"<EndToEndId>") == 1


def test_a_payee_edited_while_the_file_is_made_is_not_paid_either(
    payout_books: Settings,
    conn: Connection,
    keys: Keys,
    paid: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = drafted(conn)
    approve(conn, batch.batch_id, actor="ben")
    thief = payee(promoter_id=paid[0], details=Iban(OTHER_IBAN))

    def edited_first(*args: Any) -> dict[str, Payee]:
        with connect(payout_books) as other, suppress(LockNotAvailable):
            other.execute("SET lock_timeout = '200ms'")
            save_payees(other, keys, [thief], actor="paula")
        return load_payees(*args)

    monkeypatch.setattr("sinks.payouts.export.load_payees", edited_first)
    (file,) = export(conn, keys, PAYER, batch.batch_id, PAIN, TODAY, actor="ben")
    assert file.content.count(OTHER_IBAN.encode()) == 1  # the payer's own


def test_exporting_again_gives_the_same_bytes(
    conn: Connection, keys: Keys, paid: list[str]
) -> None:
    batch = drafted(conn)
    with pytest.raises(PayoutError, match="approved first"):
        export(conn, keys, PAYER, batch.batch_id, PAIN, TODAY, actor="ben")
    approve(conn, batch.batch_id, actor="ben")
    with pytest.raises(PayoutError, match="no format 'excel'"):
        export(conn, keys, PAYER, batch.batch_id, "excel", TODAY, actor="ben")
    with pytest.raises(PayoutError, match="cannot carry"):
        export(conn, keys, PAYER, batch.batch_id, "nacha", TODAY, actor="ben")
    files = export(conn, keys, PAYER, batch.batch_id, PAIN, TODAY, actor="ben")
    again = TODAY + timedelta(days=3)
    assert export(conn, keys, PAYER, batch.batch_id, PAIN, again, actor="carl") == files
    assert hashlib.sha256(files[0].content).hexdigest() == files[0].sha256
    with pytest.raises(PayoutError, match="would pay twice"):
        export(conn, keys, PAYER, batch.batch_id, "csv", TODAY, actor="ben")
    with pytest.raises(PayoutError, match="is exported"):
        cancel(conn, batch.batch_id, actor="ben", reason="too late")
    with pytest.raises(SealError):
        export(conn, new_keys(), PAYER, batch.batch_id, PAIN, TODAY, actor="ben")


@pytest.mark.parametrize(
    ("currency", "details", "formats", "minor"),
    [
        ("USD", Ach("021000021", "123456789"), ["nacha", "nacha-unbalanced", "csv"], 500),
        ("USD", Paypal("ada@example.com"), ["paypal"], 500),
        ("JPY", Iban("DE89370400440532013000", "COBADEFFXXX"), [PAIN, "csv"], 5),
        ("KWD", Iban("DE89370400440532013000", "COBADEFFXXX"), [PAIN, "csv"], 5000),
    ],
)
def test_other_currencies_and_formats(
    conn: Connection, keys: Keys, currency: str, details: object, formats: list[str], minor: int
) -> None:
    us = details if isinstance(details, Ach) else PAYER.details
    payer = msgspec.structs.replace(PAYER, details=us, company_id="1234567890", bank_name="Bank")
    for format_name in formats:
        assert format_name in FORMATS
        one = new_promoter(conn, keys, currency, details=details)
        earn(conn, new_campaign(conn, currency), one, 5000, currency)
        settle(conn)
        batch = drafted(conn, currency)
        assert [line.amount_minor for line in batch.lines] == [minor]
        approve(conn, batch.batch_id, actor="ben")
        files = export(conn, keys, payer, batch.batch_id, format_name, TODAY, actor="ben")
        assert len(files) == 1
        assert files[0].content
    assert verify_ledger(conn) == []


def test_backup_withholding(conn: Connection, keys: Keys) -> None:
    one = new_promoter(
        conn, keys, "USD", details=Ach("021000021", "123456789"), backup_withholding=True
    )
    earn(conn, new_campaign(conn, "USD"), one, 5005, "USD")
    settle(conn)
    line = drafted(conn, "USD").lines[0]
    assert (line.gross_micros, line.withheld_micros) == (5_000_000, 1_200_000)
    assert line.amount_minor == 380
    assert money(conn, one, "USD") == {"promoter_payable": 5_000, "payout_clearing": 3_800_000}
    cancel(conn, line.batch_id, actor="anna", reason="a test")
    assert money(conn, one, "USD") == {"promoter_payable": 5_005_000}


def test_what_was_paid_too_much_is_netted_from_the_next_one(conn: Connection, keys: Keys) -> None:
    one, campaign = new_promoter(conn, keys), new_campaign(conn)
    accrual = earn(conn, campaign, one, 1000)
    settle(conn)
    line = exported(conn, keys).lines[0]
    mark(conn, line.line_id, Answer(reference=line.end_to_end_id, outcome="settled"), actor="anna")
    assert money(conn, one) == {}
    done = correct(conn, accrual, 600, reason="bot farm", actor="fred", key=name("key"))
    assert done.debt_micros == 600_000
    assert money(conn, one) == {"promoter_debt": -600_000}
    assert draft(conn, "EUR", None, 0, actor="anna", key=name("key")).batch is None
    earn(conn, campaign, one, 700)
    settle(conn)
    line = drafted(conn).lines[0]
    assert (line.amount_minor, line.netted_micros) == (10, 600_000)
    assert verify_ledger(conn) == []


def test_what_was_netted_under_a_longer_key_is_not_of_this_line(
    conn: Connection, keys: Keys
) -> None:
    one, campaign = new_promoter(conn, keys), new_campaign(conn)
    accrual = earn(conn, campaign, one, 1000)
    settle(conn)
    line = exported(conn, keys).lines[0]
    mark(conn, line.line_id, Answer(reference=line.end_to_end_id, outcome="settled"), actor="anna")
    correct(conn, accrual, 600, reason="bot farm", actor="fred", key=name("key"))
    earn(conn, campaign, one, 700)
    settle(conn)
    key = name("key")
    for longer, netted in ((":2", 600_000), ("", 0)):
        made = draft(conn, "EUR", None, 0, actor="anna", key=key + longer).batch
        assert made is not None
        assert [line.netted_micros for line in made.lines] == [netted]
        cancel(conn, made.batch_id, actor="anna", reason="another one")
    assert verify_ledger(conn) == []


def test_without_a_batch_nothing_is_netted(conn: Connection, keys: Keys) -> None:
    one, campaign = new_promoter(conn, keys), new_campaign(conn)
    accrual = earn(conn, campaign, one, 1000)
    settle(conn)
    line = exported(conn, keys).lines[0]
    mark(conn, line.line_id, Answer(reference=line.end_to_end_id, outcome="settled"), actor="anna")
    key = name("key")
    correct(conn, accrual, 100, reason="bot farm", actor="fred", key=name("key"))
    for views in (40, 30):
        earn(conn, campaign, one, views)
        settle(conn)
        assert draft(conn, "EUR", None, 0, actor="anna", key=key).batch is None
    assert money(conn, one) == {"promoter_payable": 70_000, "promoter_debt": -100_000}
    earn(conn, campaign, one, 50)
    settle(conn)
    made = draft(conn, "EUR", None, 0, actor="anna", key=key).batch
    assert made is not None
    assert (made.lines[0].gross_micros, made.lines[0].netted_micros) == (20_000, 100_000)
    assert verify_ledger(conn) == []


def test_the_bank_answers(conn: Connection, keys: Keys, paid: list[str]) -> None:
    batch = exported(conn, keys)
    one, two, three = (line.end_to_end_id for line in batch.lines)
    rejected = (
        b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"><CstmrPmtStsRpt>'
        b"<GrpHdr><MsgId>S</MsgId><CreDtTm>2026-11-23T10:00:00Z</CreDtTm></GrpHdr>"
        b"<OrgnlGrpInfAndSts><OrgnlMsgId>VLB%d</OrgnlMsgId>"
        b"<OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId></OrgnlGrpInfAndSts>"
        b"<OrgnlPmtInfAndSts><OrgnlPmtInfId>VLB%d-1</OrgnlPmtInfId>%s</OrgnlPmtInfAndSts>"
        b"</CstmrPmtStsRpt></Document>"
    ) % (
        batch.batch_id,
        batch.batch_id,
        (
            transfer_status(one, "RJCT", "<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf>")
            + transfer_status("VL99999999", "RJCT")
        ).encode(),
    )
    done = import_answers(conn, "status.xml", rejected, actor="anna")
    assert [(each.line_id, each.applied) for each in done.noted] == [
        (batch.lines[0].line_id, True),
        (None, False),
    ]
    assert money(conn, paid[0]) == {"promoter_payable": 1_234_000}
    booked = statement(booking("1.23", detail(two)), booking("1.00", detail(three)))
    done = import_answers(conn, "statement.xml", booked, actor="anna")
    assert [each.note for each in done.noted] == ["", "another amount than 1.23 EUR"]
    assert money(conn, paid[1]) == {"promoter_payable": 4_000}
    assert import_answers(conn, "copy.xml", booked, actor="anna").already
    puzzles = [(file, each.answer.reference) for file, each in load_puzzles(conn)]
    assert ("status.xml", "VL99999999") in puzzles
    assert ("statement.xml", three) in puzzles

    mark(conn, batch.lines[2].line_id, Answer(reference=three, outcome="settled"), actor="anna")
    after = load_batch(conn, batch.batch_id)
    assert after.status == "closed"
    assert [line.status for line in after.lines] == ["failed", "settled", "settled"]
    assert after.lines[0].code == "AC04"
    returned = Answer(reference=two, outcome="returned", code="AC01")
    assert mark(conn, batch.lines[1].line_id, returned, actor="anna").applied
    assert not mark(conn, batch.lines[1].line_id, returned, actor="anna").applied
    assert money(conn, paid[1]) == {"promoter_payable": 1_234_000}
    answer = Answer(reference=two, outcome="settled")
    with pytest.raises(PayoutError, match="is returned, not settled"):
        mark(conn, batch.lines[1].line_id, answer, actor="anna")
    assert verify_ledger(conn) == []


def test_a_transfer_that_is_under_way_is_no_puzzle(
    conn: Connection, keys: Keys, paid: list[str]
) -> None:
    one, two, three = (line.end_to_end_id for line in exported(conn, keys).lines)
    why = "<StsRsnInf><Rsn><Cd>AG01</Cd></Rsn></StsRsnInf>"
    told = [(one, "ACSP", ""), (two, "PDNG", why), (three, "BLCK", "")]
    report = status_report(payments=payment_status("".join(transfer_status(*t) for t in told)))
    done = import_answers(conn, name("status"), report, actor="anna")
    assert [(each.applied, bool(each.note)) for each in done.noted] == [
        (False, False),
        (False, True),
        (False, True),
    ]
    assert {one, two, three} & {each.answer.reference for _, each in load_puzzles(conn)} == {
        two,
        three,
    }


@pytest.mark.parametrize(("amount", "settled"), [("3.69", 3), ("3.70", 0)])
def test_a_booking_of_the_whole_file_has_to_be_its_sum(
    conn: Connection, keys: Keys, paid: list[str], amount: str, settled: int
) -> None:
    batch = exported(conn, keys)
    payment = f"<Btch><PmtInfId>VLB{batch.batch_id}-1</PmtInfId></Btch>"
    import_answers(conn, "s.xml", statement(booking(amount, payment)), actor="anna")
    lines = load_batch(conn, batch.batch_id).lines
    assert [line.status for line in lines].count("settled") == settled


@pytest.mark.parametrize(
    "text",
    ["'; DROP TABLE payout_lines; --", "Robert'); DELETE FROM entries;", "=cmd|' /C calc'!A0"],
)
def test_text_is_only_text(conn: Connection, keys: Keys, paid: list[str], text: str) -> None:
    batch = draft(conn, "EUR", None, 0, actor=text, key=text + name()).batch
    assert batch is not None
    assert batch.drafted_by == text
    first = batch.lines[0].line_id
    cancelled = cancel(conn, batch.batch_id, first, actor=text, reason=text)
    assert cancelled.lines[0].reason == text
    approve(conn, batch.batch_id, actor="ben")
    assert export(conn, keys, PAYER, batch.batch_id, "csv", TODAY, actor=text)
    assert money(conn, paid[0]) == {"promoter_payable": 1_234_000}


def test_the_payer_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "payer.json"
    good = msgspec.json.encode(PAYER)
    file.write_bytes(good)
    assert load_payer(file, "EUR") == PAYER
    for content, why in [
        (b"{", "truncated"),
        (b'{"name": "x"}', "missing required field"),
        (good.replace(b"DE75", b"DE76"), "check digits"),
    ]:
        file.write_bytes(content)
        with pytest.raises(PayoutError, match=why) as refused:
            load_payer(file, "EUR")
        assert "512108001245126199" not in str(refused.value)
    for missing in (None, tmp_path / "none.json"):
        with pytest.raises(PayoutError):
            load_payer(missing, "EUR")
