"""CSV: read back by the standard library, and harmless in a spreadsheet."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.payments import CHECKING, EMAIL, PARIS, batch, texts, transfer, transfer_lists

from schemas.payout import Ach, BankDetails, Paypal
from sinks.bank_files.csv_files import general_csv, general_refusal, paypal_csv, paypal_refusal

RUN = tuple("=+-@\t\r\n＝＋－＠")


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))


def test_paypal_lines() -> None:
    [content] = paypal_csv(batch(transfer(1, EMAIL), transfer(2, EMAIL, remittance='say "hi", ü')))
    assert content.decode() == (
        "zoe@example.com,123.45,EUR,VL1,Views of October,PAYPAL\r\n"
        'zoe@example.com,123.45,EUR,VL2,"say ""hi"", ü",PAYPAL\r\n'
    )


def test_paypal_files_hold_5000_lines_of_one_currency() -> None:
    lines = [transfer(n, EMAIL, currency="USD" if n % 4 else "EUR") for n in range(1, 10_001)]
    files = [read(content) for content in paypal_csv(batch(*lines))]
    assert [(len(rows), {row[2] for row in rows}) for rows in files] == [
        (5_000, {"USD"}),
        (2_500, {"USD"}),
        (2_500, {"EUR"}),
    ]
    assert sorted(int(row[3][2:]) for rows in files for row in rows) == list(range(1, 10_001))


@pytest.mark.parametrize(
    ("currency", "minor", "shown"),
    [("JPY", 1_500, "1500"), ("HUF", 150_000, "1500"), ("EUR", 5, "0.05")],
)
def test_paypal_amounts(currency: str, minor: int, shown: str) -> None:
    [content] = paypal_csv(batch(transfer(1, EMAIL, currency=currency, amount_minor=minor)))
    assert read(content)[0][1:3] == [shown, currency]


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (transfer(details=PARIS), "paid by iban, not paypal"),
        (transfer(details=EMAIL, currency="KWD"), "KWD is not paid"),
        (transfer(details=EMAIL, currency="HUF", amount_minor=1_501), "whole units"),
        (transfer(details=Paypal("=cmd@example.com")), "e-mail"),
        (transfer(details=Paypal("nobody")), "e-mail"),
        (transfer(details=Paypal("a@b.co\x00")), "e-mail"),
        (transfer(details=Paypal("a@b.co\n")), "e-mail"),
        (transfer(details=Paypal("a,b@c.de")), "e-mail"),
        (transfer(details=Paypal("a" * 128 + "@b.co")), "e-mail"),
    ],
)
def test_paypal_refusals(refused: object, why: str) -> None:
    reason = paypal_refusal(refused)
    assert reason is not None
    assert why in reason
    with pytest.raises(ValueError, match=r"batch 7 .* line 1"):
        paypal_csv(batch(refused))


def test_the_general_file_says_everything() -> None:
    header, row, ach, paypal = read(
        general_csv(batch(transfer(), transfer(2, CHECKING), transfer(3, EMAIL)))
    )
    assert dict(zip(header, row, strict=True)) == {
        "message_id": "VLB7",
        "created_at": "2026-11-23T23:59:58Z",
        "execution_date": "2026-11-25",
        "line_id": "1",
        "end_to_end_id": "VL1",
        "promoter_id": "promoter-1",
        "name": "Zoë Łuczak",
        "method": "iban",
        "account": "FR1420041010050500013M02606",
        "bank": "",
        "account_type": "",
        "holder": "",
        "amount": "123.45",
        "currency": "EUR",
        "remittance": "Views of October",
        "street": "Rue de la Paix",
        "building": "2 bis",
        "postcode": "69001",
        "town": "Lyon",
        "region": "",
        "country": "FR",
    }
    assert ach[7:12] == ["ach", "0072-15", "091000019", "checking", "business"]
    assert paypal[7:12] == ["paypal", "zoe@example.com", "", "", ""]


@pytest.mark.parametrize("details", [Ach("091000019", "-0072"), Paypal("+zoe@example.com")])
def test_an_account_is_never_changed(details: BankDetails) -> None:
    with pytest.raises(ValueError, match=r"line 1: the account .* another format"):
        general_csv(batch(transfer(1, details)))


@given(st.sampled_from(["", " ", "\x00", "\t", "\r\n"]), st.sampled_from(RUN), texts)
def test_no_text_runs_as_a_formula(before: str, sign: str, rest: str) -> None:
    text = before + sign + rest + "a"
    each = transfer(1, EMAIL, name=text, remittance=text, promoter_id=text)
    for content in (general_csv(batch(each)), *paypal_csv(batch(each))):
        cells = [cell for row in read(content) for cell in row]
        assert not [cell for cell in cells if cell.startswith(RUN)]


@given(transfer_lists([PARIS, CHECKING, EMAIL]))
def test_every_line_is_a_row(transfers: list) -> None:
    accepted = [each for each in transfers if general_refusal(each) is None]
    if accepted:
        header, *rows = read(general_csv(batch(*accepted)))
        assert {len(row) for row in rows} == {len(header)}
        assert [int(row[3]) for row in rows] == [each.line_id for each in accepted]
