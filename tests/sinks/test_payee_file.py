import gzip
import json
import logging
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.payees import IBAN

from schemas.payee import Payee
from schemas.payout import Ach, Address, Iban, Paypal
from sinks.payee_file import read_payees
from sinks.payees import PayeeError

HEADER = "promoter_id,legal_name,town,country,currency,method,iban,tax_form"
GOOD = f"p1,Ada Müller,Berlin,DE,EUR,iban,{IBAN},none"
PAYEE = Payee(
    promoter_id="p1",
    legal_name="Ada Müller",
    address=Address(town="Berlin", country="DE"),
    currency="EUR",
    details=Iban(IBAN),
)
FIELDS = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "file.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def as_json(**changes: object) -> str:
    return json.dumps(FIELDS | changes)


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\n{GOOD}\n",
        f"\ufeff{HEADER}\r\n{GOOD}\r\n\r\n",
        """method, iban,country,town,legal_name,currency,promoter_id
iban, de89 3704 0044 0532 0130 00 ,de,Berlin,Ada Müller,eur,p1
""",
        as_json(),
        "\n" + as_json(tax_form="", backup_withholding=False, bic="", street=""),
        as_json(backup_withholding="false"),
        gzip.compress(as_json().encode()),
    ],
)
def test_reads_what_people_write(tmp_path: Path, content: str | bytes) -> None:
    assert read_payees(write(tmp_path, content)) == ([PAYEE], [])


def test_reads_every_method_and_every_column(tmp_path: Path) -> None:
    ach = {
        "promoter_id": "p2",
        "legal_name": "Bo Inc.",
        "country": "US",
        "currency": "USD",
        "town": "Reno",
        "street": "Main St",
        "building": "5",
        "postcode": "89501",
        "region": "NV",
        "method": "ach",
        "routing": "021000021",
        "account": "00123456",
        "account_type": "savings",
        "holder": "business",
        "tax_form": "w9",
        "backup_withholding": True,
    }
    paypal = {"iban": "", "method": "paypal", "email": "ada@example.com", "country": "AT"}
    lines = [json.dumps(ach), as_json(**paypal), as_json(promoter_id="p3", country="AT")]
    found = read_payees(write(tmp_path, "\n".join(lines)))
    assert found.payees[0] == Payee(
        promoter_id="p2",
        legal_name="Bo Inc.",
        address=Address(
            town="Reno", country="US", street="Main St", building="5", postcode="89501", region="NV"
        ),
        currency="USD",
        details=Ach("021000021", "00123456", "savings", "business"),
        tax_form="w9",
        backup_withholding=True,
    )
    assert found.payees[1].details == Paypal("ada@example.com")
    assert found.warnings == ["line 3: the IBAN is of DE and the address in AT"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no payee in it"),
        (f"{HEADER}\n", "no payee in it"),
        (f"{GOOD}\n{GOOD}", "line 1: column 1 of the header is unknown or twice; known are promot"),
        (f"{HEADER},iban\n{GOOD},{IBAN}", "line 1: column 9 of the header is unknown or twice"),
        ("promoter_id,town\np1,Berlin", "line 2: Object missing required field `legal_name`"),
        (f"{HEADER}\n{GOOD},5", "line 2: 9 values, and 8 columns in the header"),
        (f'{HEADER}\n{GOOD}\n"{IBAN}', "line 3: not CSV"),
        (f"{HEADER}\n{GOOD}\n\n{GOOD}", "line 4: the promoter of line 2 again; keep one"),
        (f"{HEADER}\n{GOOD}\n{GOOD.replace('p1', 'p2')}1", "line 3: tax_form must be none, w9 or"),
        (f"{HEADER}\n{GOOD.replace('3000', '3001')}", "line 2: iban has wrong check digits"),
        (f"{HEADER}\n{GOOD.replace('Berlin', IBAN)}", "line 2: the account number stands in anoth"),
        (f"{HEADER}\n{GOOD.replace('EUR,iban', f'EUR,{IBAN}')}", "line 2: method must be iban, ac"),
        (as_json() + "\n{" + IBAN, "line 2: not JSON"),
        (f"[{as_json()}]", "line 1: not a JSON object"),
        (as_json(**{IBAN: "x"}), "line 1: a field that is not known; known are promoter_id"),
        (as_json(iban=89370400440532013000), "line 1: iban must be text, in quotes"),
        (as_json(iban=None), "line 1: iban must be text, in quotes"),
        (as_json(backup_withholding=IBAN), "line 1: backup_withholding must be true or false"),
        (as_json(backup_withholding=1), "line 1: backup_withholding must be true or false"),
        (as_json(method=None), "line 1: method must be iban, ach or paypal"),
        (as_json(routing="021000021"), "line 1: routing is for method ach and the method is iban"),
        (as_json(method="ach"), "line 1: iban is for method iban and the method is ach"),
        (as_json(iban="\ud800" + IBAN), "line 1: not JSON"),
        ('{"promoter_id": ' * 5000, "line 1: not JSON"),
        (b"\x1f\x8bnot gzip", "not a whole gzip file"),
        (HEADER.encode() + f"\n{IBAN}\xff".encode("latin-1"), "line 2 is not UTF-8"),
    ],
)
def test_says_what_is_wrong_and_repeats_no_value(
    tmp_path: Path, content: str | bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = write(tmp_path, content)
    with pytest.raises(PayeeError) as error:
        read_payees(path)
    assert str(error.value).startswith(str(path))
    assert said in str(error.value)
    shown = "".join(traceback.TracebackException.from_exception(error.value).format())
    for part in (IBAN[4:], "37040044053201", "Ada Müller"):
        assert part not in shown + caplog.text


def test_lists_many_problems_but_not_all(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEADER}\n" + "p,,,,,iban,,\n" * 50)
    with pytest.raises(PayeeError, match=r"… and \d+ more$") as error:
        read_payees(path)
    assert str(error.value).count("\n") == 21


@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused_with_the_name_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = write(tmp_path_factory.getbasetemp(), content)
    with pytest.raises(PayeeError, match="file"):
        read_payees(path)


_TEXT = st.text(st.characters(codec="utf-8"), max_size=40).map("☂{}".format)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), _TEXT, min_size=1))
def test_any_values_are_read_or_refused_without_them(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, str]
) -> None:
    path = write(tmp_path_factory.getbasetemp(), as_json(**changes))
    try:
        read = read_payees(path).payees[0].details
    except PayeeError as error:
        read = str(error)
    assert read == PAYEE.details or not [text for text in changes.values() if text in str(read)]
