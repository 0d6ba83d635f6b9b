import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.payees import DETAILS, IBAN, payee

from schemas.payee import mask
from schemas.payout import Ach, BankDetails, Paypal


@pytest.mark.parametrize(
    ("details", "shown", "method"),
    [
        (DETAILS[0], "DE89 **** **** 3000", "iban"),
        (DETAILS[1], "021000021 **** 6789", "ach"),
        (DETAILS[2], "a***@example.com", "paypal"),
        (Ach("021000021", "1234"), "021000021 **** 34", "ach"),
        (Ach("021000021", "1"), "021000021 **** ", "ach"),
        (Paypal("a@b.de"), "a***@b.de", "paypal"),
    ],
)
def test_shows_enough_and_no_more(details: BankDetails, shown: str, method: str) -> None:
    assert mask(details) == shown
    assert payee(details=details).method == method


@given(st.from_regex(r"[0-9]{1,17}", fullmatch=True))
def test_of_an_account_at_most_four_and_at_most_half(account: str) -> None:
    tail = mask(Ach("021000021", account)).rpartition(" ")[2]
    assert account.endswith(tail)
    assert len(tail) <= min(4, len(account) / 2)


def test_a_payee_in_a_traceback_hides_the_account() -> None:
    assert IBAN not in f"{payee()!r} {[payee()]} {payee()}"
