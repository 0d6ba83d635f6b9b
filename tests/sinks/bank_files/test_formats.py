"""What holds for every format."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.payments import (
    AMERICA,
    CHECKING,
    DUBAI,
    EMAIL,
    EUROPE,
    KUWAIT,
    PARIS,
    SAVINGS,
    batch,
    transfer,
    transfer_lists,
)

from schemas.payout import BankDetails
from sinks.bank_files.formats import FORMATS, refusals

ACCOUNTS: list[BankDetails] = [PARIS, DUBAI, KUWAIT, CHECKING, SAVINGS, EMAIL]
names = pytest.mark.parametrize("name", FORMATS)


def fitting(name: str) -> list[BankDetails]:
    return [each for each in ACCOUNTS if isinstance(each, FORMATS[name].details)]


def payer(name: str):
    return AMERICA if name.startswith("nacha") else EUROPE


@names
@settings(max_examples=25)
@given(data=st.data())
def test_what_is_not_refused_is_written_and_twice_the_same(name: str, data: st.DataObject) -> None:
    transfers = data.draw(transfer_lists(fitting(name)))
    refused = refusals(name, transfers)
    accepted = [each for each in transfers if each.line_id not in refused]
    if accepted:
        file = batch(*accepted, payer=payer(name))
        assert FORMATS[name].write(file) == FORMATS[name].write(copy.deepcopy(file))
    if refused:
        with pytest.raises(ValueError, match=f"line {min(refused, key=list(refused).index)}: "):
            FORMATS[name].write(batch(*transfers, payer=payer(name)))


@names
def test_no_transfers_make_no_file(name: str) -> None:
    with pytest.raises(ValueError, match="batch 7 has no transfers"):
        FORMATS[name].write(batch(payer=payer(name)))


@names
def test_two_lines_cannot_share_an_end_to_end_id(name: str) -> None:
    line = transfer(1, fitting(name)[0])
    with pytest.raises(ValueError, match="end-to-end id twice"):
        FORMATS[name].write(batch(line, line, payer=payer(name)))


@pytest.mark.slow
@names
def test_ten_thousand_lines(name: str) -> None:
    lines = [transfer(n, fitting(name)[0]) for n in range(1, 10_001)]
    written = b"".join(FORMATS[name].write(batch(*lines, payer=payer(name))))
    assert all(f"VL{n}".encode() in written for n in (1, 5_000, 10_000))
    assert written.count(b"VL") >= 10_000


@names
def test_a_format_refuses_accounts_that_it_does_not_pay_to(name: str) -> None:
    others = [each for each in ACCOUNTS if each not in fitting(name)]
    lines = [transfer(n, each) for n, each in enumerate(others, start=1)]
    assert refusals(name, lines).keys() == {line.line_id for line in lines}


def test_many_refusals_are_listed_in_part() -> None:
    lines = [transfer(n, EMAIL) for n in range(1, 9)]
    with pytest.raises(ValueError, match=r"line 5: .*; and 3 more$"):
        FORMATS["nacha"].write(batch(*lines, payer=AMERICA))


def test_an_unknown_format_is_answered_with_the_known() -> None:
    with pytest.raises(ValueError, match=r"no format 'mt101'; there are pain\.001\.001\.09, "):
        refusals("mt101", [])


def test_the_names_are_those_of_the_command_line() -> None:
    assert list(FORMATS) == [
        "pain.001.001.09",
        "pain.001.001.03",
        "nacha",
        "nacha-unbalanced",
        "paypal",
        "csv",
    ]
    assert {each.suffix for each in FORMATS.values()} == {".xml", ".ach", ".csv"}
