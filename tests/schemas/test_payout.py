import msgspec
import pytest
from support.payees import DETAILS
from support.payouts import PAYER

from schemas.payout import BankDetails


@pytest.mark.parametrize("details", DETAILS)
def test_bank_details_are_read_back_and_never_printed(details: BankDetails) -> None:
    text = msgspec.json.encode(details)
    assert msgspec.json.decode(text, type=BankDetails) == details
    numbers = {value for value in msgspec.to_builtins(details).values() if len(value) > 7}
    assert numbers
    for shown in (
        repr(details),
        str(details),
        repr(msgspec.structs.replace(PAYER, details=details)),
    ):
        assert not any(number in shown for number in numbers)
