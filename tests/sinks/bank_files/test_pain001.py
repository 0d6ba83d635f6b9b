"""pain.001: read back by another parser, and held against the schema by another validator."""

from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
import xmlschema
from hypothesis import given, settings
from lxml import etree
from support.payments import (
    AMERICA,
    DUBAI,
    EMAIL,
    EUROPE,
    KUWAIT,
    PARIS,
    batch,
    transfer,
    transfer_lists,
)

from schemas.payout import Address, BatchFile, Iban, Payer
from sinks.bank_files.pain001 import (
    MAX_MINOR,
    MAX_SEPA_MINOR,
    Version,
    _validate,
    pain_001,
    refusal,
)

GOLDEN = Path(__file__).parent / "golden"
MIXED = batch(
    transfer(1),
    transfer(2, DUBAI, amount_minor=5),
    transfer(3, KUWAIT, currency="KWD", amount_minor=1_234_567),
    transfer(4, KUWAIT, currency="JPY", amount_minor=1_500, name="<&>\"'\x01 株式会社"),
    transfer(5, amount_minor=MAX_SEPA_MINOR, remittance="=cmd|'/c calc'!A0"),
)


def read(content: bytes) -> ElementTree.Element:
    """The message without its namespace."""
    root = ElementTree.fromstring(content)
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
    return root


def values(root: ElementTree.Element, path: str) -> list[str | None]:
    return [element.text for element in root.iterfind(path)]


@pytest.mark.parametrize("version", ["09", "03"])
def test_the_file_is_the_golden_one(version: Version) -> None:
    assert pain_001(MIXED, version) == (GOLDEN / f"pain.001.001.{version}.xml").read_bytes()


@pytest.mark.parametrize("version", ["09", "03"])
def test_another_validator_agrees(version: Version) -> None:
    schema = files("sepaxml") / "schemas" / f"pain.001.001.{version}.xsd"
    xmlschema.XMLSchema(schema.read_text()).validate(pain_001(MIXED, version).decode())


def test_euros_in_sepa_and_the_rest_are_blocks_of_their_own() -> None:
    root = read(pain_001(MIXED))
    blocks = root.findall(".//PmtInf")
    shown = [
        (
            block.findtext("PmtInfId"),
            block.findtext("PmtTpInf/SvcLvl/Cd"),
            block.findtext("ChrgBr"),
            block.findtext("NbOfTxs"),
            block.findtext("CtrlSum"),
            values(block, ".//EndToEndId"),
        )
        for block in blocks
    ]
    assert shown == [
        ("VLB7-1", "SEPA", "SLEV", "2", "1000000123.44", ["VL1", "VL5"]),
        ("VLB7-2", "NURG", "SHAR", "1", "0.05", ["VL2"]),
        ("VLB7-3", "NURG", "SHAR", "1", "1234.567", ["VL3"]),
        ("VLB7-4", "NURG", "SHAR", "1", "1500", ["VL4"]),
    ]


def test_a_payer_outside_sepa_makes_no_sepa_transfers() -> None:
    payer = msgspec.structs.replace(EUROPE, details=DUBAI)
    root = read(pain_001(batch(transfer(), payer=payer)))
    assert values(root, ".//SvcLvl/Cd") == ["NURG"]


@pytest.mark.parametrize("iban", ["SM86U0322509800000000270100", "VA59001123000012345678"])
def test_small_countries_of_sepa_need_no_bic(iban: str) -> None:
    root = read(pain_001(batch(transfer(details=Iban(iban)))))
    assert values(root, ".//SvcLvl/Cd") == ["SEPA"]


def test_texts_arrive_in_banks_characters_and_lengths() -> None:
    long = "Ünïcode " * 40
    root = read(pain_001(batch(transfer(name=long, remittance=long))))
    [name], [remittance] = values(root, ".//Cdtr/Nm"), values(root, ".//Ustrd")
    assert name is not None
    assert remittance is not None
    assert (len(name), name[:16]) == (70, "Unicode Unicode ")
    assert 139 <= len(remittance) <= 140


def test_without_bic_the_payers_bank_is_found_by_iban() -> None:
    payer = msgspec.structs.replace(EUROPE, details=PARIS)
    root = read(pain_001(batch(transfer(), payer=payer)))
    assert values(root, ".//DbtrAgt/FinInstnId/Othr/Id") == ["NOTPROVIDED"]
    assert not root.findall(".//CdtrAgt")


@settings(max_examples=50)
@given(transfer_lists([PARIS, DUBAI, KUWAIT]))
def test_what_is_not_refused_is_written_with_its_sums(transfers: list) -> None:
    accepted = [each for each in transfers if refusal(each) is None]
    if not accepted:
        return
    for version in ("09", "03"):
        root = read(pain_001(batch(*accepted), version))
        amounts = {
            element.findtext("PmtId/EndToEndId"): Decimal(element.findtext("Amt/InstdAmt") or "")
            for element in root.iterfind(".//CdtTrfTxInf")
        }
        decimals = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
        assert amounts == {
            each.end_to_end_id: Decimal(each.amount_minor) / 10 ** decimals[each.currency]
            for each in accepted
        }
        assert values(root, "./*/GrpHdr/NbOfTxs") == [str(len(accepted))]
        assert Decimal(root.findtext("./*/GrpHdr/CtrlSum") or "") == sum(amounts.values())


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (transfer(details=EMAIL), "paid by paypal, not iban"),
        (transfer(details=Iban("FR1420041010050500013M02607")), "IBAN is not valid"),
        (transfer(details=Iban("fr1420041010050500013m02606")), "IBAN is not valid"),
        (transfer(details=Iban("FR14 2004 1010 0505 0001 3M02 606")), "IBAN is not valid"),
        (transfer(details=Iban("")), "IBAN is not valid"),
        (transfer(details=Iban("XX1420041010050500013M02606")), "IBAN is not valid"),
        (transfer(details=Iban(PARIS.iban, "NOBIC")), "BIC is not valid"),
        (transfer(details=Iban(DUBAI.iban)), "BIC is needed"),
        (transfer(currency="USD"), "BIC is needed"),
        (transfer(currency="XAU"), "'XAU' is no currency"),
        (transfer(currency="ZZZ"), "'ZZZ' is no currency"),
        (transfer(amount_minor=MAX_SEPA_MINOR + 1), "beyond"),
        (transfer(details=DUBAI, amount_minor=MAX_MINOR + 1), "beyond"),
        (transfer(amount_minor=0), "more than nothing"),
        (transfer(amount_minor=-5), "more than nothing"),
        (transfer(name="\u200b\x00 !"), "name"),
        (transfer(address=Address(town="\x00", country="FR")), "no town"),
        (transfer(address=Address(town="Lyon", country="France")), "'France'"),
    ],
)
def test_refusals_say_why_and_never_where_to(refused: object, why: str) -> None:
    reason = refusal(refused)
    assert reason is not None
    assert why in reason
    assert "20041010" not in reason
    with pytest.raises(ValueError, match=r"batch 7 .* line 1"):
        pain_001(batch(refused))


@pytest.mark.parametrize(
    ("payer", "why"),
    [
        (AMERICA, "no account by IBAN"),
        (msgspec.structs.replace(EUROPE, name="\x00"), "name is empty"),
        (msgspec.structs.replace(EUROPE, address=Address(town="", country="DE")), "no town"),
    ],
)
def test_a_payer_who_cannot_pay_so_is_named(payer: Payer, why: str) -> None:
    with pytest.raises(ValueError, match=f"payer.*{why}"):
        pain_001(batch(transfer(), payer=payer))


def test_what_the_schema_refuses_does_not_leave_and_shows_no_account() -> None:
    document = etree.fromstring(pain_001(batch(transfer())))
    [iban] = document.iterfind(".//{*}CdtrAcct/{*}Id/{*}IBAN")
    iban.text = "not an account"
    with pytest.raises(ValueError, match="CdtrAcct") as error:
        _validate(document, "09")
    assert "not an account" not in str(error.value)


@pytest.mark.slow
def test_sums_too_long_for_the_schema_are_refused() -> None:
    huge = [transfer(n, KUWAIT, currency="JPY", amount_minor=MAX_MINOR) for n in range(1, 10_003)]
    with pytest.raises(ValueError, match="CtrlSum"):
        pain_001(BatchFile(**{**msgspec.structs.asdict(MIXED), "transfers": huge}))
