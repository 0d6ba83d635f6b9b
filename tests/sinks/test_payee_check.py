from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.payees import DETAILS, IBAN, OTHER_IBAN, payee

from schemas.payee import Payee
from schemas.payout import Ach, Address, BankDetails, Iban, Paypal
from sinks.payee_check import check_payee, is_routing_number

ROUTING = ["021000021", "011401533", "091000019", "322271627", "800000006"]


@pytest.mark.parametrize("details", DETAILS)
def test_nothing_is_wrong_with_what_is_right(details: BankDetails) -> None:
    assert check_payee(payee(details=details)) == ([], [])


@pytest.mark.parametrize(
    ("details", "said"),
    [
        (Iban(""), "iban is missing"),
        (Iban("DE89370400440532013001"), "iban has wrong check digits"),
        (Iban(IBAN.lower()), "iban must be upper case and without spaces"),
        (Iban("DE89 3704 0044 0532 0130 00"), "iban must be upper case and without spaces"),
        (Iban(IBAN[:-1]), "iban is too short or too long"),
        (Iban("ZZ" + IBAN[2:]), "iban is of no country"),
        (Iban(IBAN[:-1] + "\n"), "iban is"),
        (Iban(IBAN[:-1] + "०"), "iban is"),
        (Iban(IBAN, "DEUTDEF"), "bic is too short or too long"),
        (Iban(IBAN, "DEUTZZFF"), "bic is of no country"),
        (Iban(IBAN, "deutdeff"), "bic must be upper case"),
        (Iban(IBAN, "BNPAFRPP"), "bic is of FR and the IBAN of another country"),
        (Ach("021000022", "12345"), "routing must be nine digits with a right checksum"),
        (Ach("02100002", "12345"), "routing must be nine digits"),
        (Ach("000000000", "12345"), "routing must be nine digits"),
        (Ach("130000006", "12345"), "routing must be nine digits"),
        (Ach("02100002१", "12345"), "routing must be nine digits"),
        (Ach("021000021", ""), "account must be 1 to 17"),
        (Ach("021000021", "1" * 18), "account must be 1 to 17"),
        (Ach("021000021", "000"), "account must be 1 to 17"),
        (Ach("021000021", "12 45"), "account must be 1 to 17"),
        (Ach("021000021", "=1+1"), "account must be 1 to 17"),
        (Paypal(""), "email must be an address"),
        (Paypal("a@b"), "email must be an address"),
        (Paypal("a@b.de\n"), "email must be an address"),
        (Paypal("=cmd@b.de"), "email must be an address"),
    ],
)
def test_a_wrong_account_is_found_and_not_repeated(details: BankDetails, said: str) -> None:
    (problem,) = check_payee(payee(details=details)).problems
    assert problem.startswith(said)
    assert IBAN[4:10] not in problem
    assert "12345" not in problem


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"promoter_id": ""}, "promoter_id must be"),
        ({"legal_name": " "}, "legal_name must be"),
        ({"legal_name": "a\nb"}, "legal_name must be"),
        ({"legal_name": "a\u202eb"}, "legal_name must be"),
        ({"legal_name": "a" * 141}, "legal_name must be"),
        ({"address": Address(town="", country="DE")}, "town must be 1 to 35"),
        ({"address": Address(town="T" * 36, country="DE")}, "town must be 1 to 35"),
        ({"address": Address(town="T", country="DE", street="a\tb")}, "street must be at most"),
        ({"address": Address(town="T", country="DE", postcode="1" * 17)}, "postcode must be"),
        ({"address": Address(town="T", country="de")}, "country must be an ISO 3166 code"),
        ({"address": Address(town="T", country="ZZ")}, "country must be an ISO 3166 code"),
        ({"currency": "EURO"}, "currency must be an ISO 4217 code"),
        ({"currency": "ZZZ"}, "currency must be an ISO 4217 code"),
        ({"currency": "EUR", "details": DETAILS[1]}, "currency must be USD for method ach"),
        ({"legal_name": f"Ada {IBAN}"}, "the account number stands in another field"),
        ({"legal_name": "DE75 5121 0800 1245 1261 99"}, "the account number stands in another"),
        ({"promoter_id": IBAN}, "the account number stands in another field"),
        (
            {"details": DETAILS[1], "address": Address(town="1234-56789", country="US")},
            "the account number stands in another field",
        ),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], said: str) -> None:
    assert check_payee(payee(**fields)).problems[0].startswith(said)
    assert OTHER_IBAN not in str(check_payee(payee(**fields)))


def test_some_things_are_for_a_person_to_judge() -> None:
    abroad = payee(address=Address(town="Wien", country="AT"))
    assert check_payee(abroad) == ([], ["the IBAN is of DE and the address in AT"])
    assert "W-8" in check_payee(payee(tax_form="w8", backup_withholding=True)).warnings[0]
    jersey = payee(
        details=Iban("GB29NWBK60161331926819", "RBOSJESX"),
        address=Address(town="London", country="GB"),
    )
    assert check_payee(jersey) == ([], [])
    assert check_payee(payee(address=Address(town="Prishtina", country="XK"))).problems == []


@given(st.sampled_from(ROUTING), st.integers(0, 8), st.integers(1, 9))
def test_every_mistyped_digit_of_a_routing_number_is_found(right: str, at: int, add: int) -> None:
    assert is_routing_number(right)
    wrong = right[:at] + str((int(right[at]) + add) % 10) + right[at + 1 :]
    assert not is_routing_number(wrong)


@given(st.builds(Iban, st.text(), st.text()) | st.builds(Ach, st.text(), st.text()), st.text())
def test_anything_is_judged_without_being_repeated(details: BankDetails, text: str) -> None:
    known: Payee = payee()
    wild = replace(known, details=details, legal_name=text, address=Address(town=text, country="É"))
    assert check_payee(wild).problems
