import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.payments import (
    BERLIN,
    CHECKING,
    EMAIL,
    KUWAIT,
    PARIS,
    SAVINGS,
    batch,
    payer_for,
    transfer_lists,
)

from schemas.payout import BankDetails
from sinks.bank_files.formats import FORMATS, refusals
from sinks.bank_files.read_back import read_transfers

DETAILS: dict[str, list[BankDetails]] = {
    "pain.001.001.09": [PARIS, BERLIN, KUWAIT],
    "pain.001.001.03": [PARIS, BERLIN, KUWAIT],
    "nacha": [CHECKING, SAVINGS],
    "nacha-unbalanced": [CHECKING, SAVINGS],
    "paypal": [EMAIL],
    "csv": [PARIS, EMAIL],
}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_was_written_is_read(name: str, data: st.DataObject) -> None:
    drawn = data.draw(transfer_lists(DETAILS[name]))
    refused = refusals(name, drawn)
    transfers = [each for each in drawn if each.line_id not in refused]
    if not transfers:
        return
    try:
        files = FORMATS[name].write(batch(*transfers, payer=payer_for(transfers)))
    except ValueError:
        return  # more than the format carries in one file
    found = [each for content in files for each in read_transfers(name, content)]
    expected = [(each.end_to_end_id, each.amount_minor, each.currency) for each in transfers]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("content", [b"<", b"6\xff", b'6"1,2\n', b"a\n1,2\n"])
def test_damaged_files_say_so_or_pay_nobody(name: str, content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert read_transfers(name, content) == []
