import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import Campaign, Promoter
from sinks.catalogue_file import CatalogueError, read_campaigns, read_promoters

HEADER = "campaign_id,currency,rate_micros,budget_micros,starts_at,ends_at,status"
GOOD = "c1,EUR,2500,5000000,2026-01-01T00:00:00Z,2026-12-31T00:00:00Z,active"
CAMPAIGN = Campaign(
    campaign_id="c1",
    currency="EUR",
    rate_micros=2500,
    budget_micros=5_000_000,
    starts_at=datetime(2026, 1, 1, tzinfo=UTC),
    ends_at=datetime(2026, 12, 31, tzinfo=UTC),
    status="active",
)


def write(folder: Path, content: str | bytes, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def as_json(**changes: Any) -> str:
    fields = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))
    fields |= {"rate_micros": 2500, "budget_micros": 5_000_000}
    return json.dumps(fields | changes)


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\n{GOOD}\n",
        f"{HEADER}\r\n{GOOD}",
        f"\ufeff{HEADER}\n{GOOD}\n\n",
        """status,ends_at,starts_at,budget_micros,rate_micros,currency,campaign_id
active,2026-12-31,2026-01-01T02:00:00+02:00,5000000, 2500," eur","c1"
""",
        as_json() + "\n",
        "\n" + as_json(starts_at="2026-01-01T00:00:00"),
        gzip.compress(f"{HEADER}\n{GOOD}\n".encode()),
        gzip.compress(as_json().encode()),
        f"{HEADER},hold_hours,fee_bp,daily_budget_micros\n{GOOD},72,,\n",
        as_json(daily_budget_micros=None),
    ],
)
def test_reads_what_people_write(tmp_path: Path, content: str | bytes) -> None:
    assert read_campaigns(write(tmp_path, content)) == [CAMPAIGN]


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER},fee_bp,daily_budget_micros,hold_hours\n{GOOD},250,0,8760\n",
        f"daily_budget_micros,{HEADER},hold_hours,fee_bp\n 0,{GOOD}, 8760 ,250\n",
        as_json(fee_bp=250, daily_budget_micros=0, hold_hours=8760),
        as_json(fee_bp="250", daily_budget_micros="0", hold_hours="8760"),
    ],
)
def test_reads_what_need_not_be_there(tmp_path: Path, content: str) -> None:
    expected = msgspec.structs.replace(CAMPAIGN, fee_bp=250, daily_budget_micros=0, hold_hours=8760)
    assert read_campaigns(write(tmp_path, content)) == [expected]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fee_bp": -1}, "fee_bp is -1; it must be a whole number of basis points from 0 to 10000"),
        ({"fee_bp": 10_001}, "fee_bp is 10001"),
        ({"fee_bp": None}, "fee_bp is None"),
        ({"fee_bp": "2.5"}, "fee_bp is '2.5'"),
        ({"daily_budget_micros": -1}, "daily_budget_micros is -1; it must be empty, or"),
        ({"daily_budget_micros": 10**18 + 1}, "daily_budget_micros is 1000000000000000001"),
        ({"hold_hours": 8_761}, "hold_hours is 8761; it must be a whole number of hours"),
    ],
)
def test_says_what_such_a_value_must_be(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CatalogueError) as error:
        read_campaigns(write(tmp_path, as_json(**changes)))
    assert said in str(error.value)


def test_reads_promoters(tmp_path: Path) -> None:
    path = write(tmp_path, 'promoter_id,status\n"a ""b"", c",active\np2,suspended\n')
    assert read_promoters(path) == [
        Promoter(promoter_id='a "b", c', status="active"),
        Promoter(promoter_id="p2", status="suspended"),
    ]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("campaign_id", "", "campaign_id is ''; it must be 1 to 64 printable characters"),
        ("campaign_id", "x" * 65, "it must be 1 to 64"),
        ("campaign_id", "c1 ", "campaign_id is 'c1 '; it must be 1 to 64 printable"),
        ("campaign_id", "c\x001", "printable"),
        ("currency", "EURO", "currency is 'EURO'; it must be a three-letter ISO 4217 code"),
        ("currency", "€", "currency is '€'"),
        ("rate_micros", "0", "rate_micros is 0; it must be a whole number from 1"),
        ("rate_micros", "2.5", "rate_micros is '2.5'; it must be a whole number"),
        ("rate_micros", "1e3", "rate_micros is '1e3'"),
        ("rate_micros", "5_000", "rate_micros is '5_000'"),
        ("rate_micros", "NaN", "rate_micros is 'NaN'"),
        ("rate_micros", "", "rate_micros is ''"),
        ("rate_micros", "99999999999999999999", "rate_micros is"),
        ("budget_micros", "-1", "budget_micros is -1; it must be a whole number from 0"),
        ("starts_at", "01/02/2026", "starts_at is '01/02/2026'; it must be an ISO 8601 time"),
        ("starts_at", "0001-01-01T00:00:00+05:00", "starts_at is '0001"),
        ("ends_at", "2026-01-01T00:00:00Z", "it must be an ISO 8601 time later than starts_at"),
        ("status", "Active", "status is 'Active'; it must be active or paused or ended"),
    ],
)
def test_names_line_field_and_value(tmp_path: Path, column: str, value: str, said: str) -> None:
    fields = dict(zip(HEADER.split(","), GOOD.split(","), strict=True)) | {column: value}
    path = write(tmp_path, f"{HEADER}\n{GOOD.replace('c1', 'c0')}\n{','.join(fields.values())}\n")
    with pytest.raises(CatalogueError) as error:
        read_campaigns(path)
    assert f"{path}: nothing was imported\n  line 3: " in str(error.value)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1: the header is '' and should be 'campaign_id,currency"),
        ("campaign_id,currency\nc1,EUR\n", "line 1: the header is 'campaign_id,currency'"),
        (f"{HEADER},fee\n{GOOD},1\n", "and may have 'fee_bp,daily_budget_micros,hold_hours'"),
        (f"{HEADER},fee_bp,fee_bp\n{GOOD},1,1\n", "line 1: the header is"),
        (f"{HEADER}\n", "no campaign in it"),
        (f"{HEADER}\n{GOOD},5\n", "line 2: 8 values, and 7 columns"),
        (f'{HEADER}\n{GOOD}\n"c2,EUR\n', "line 3: not CSV"),
        (f"{HEADER}\n{GOOD}\n\n{GOOD}\n", "line 4: campaign_id 'c1' is in line 2 already"),
        (as_json() + "\n{", "line 2: not JSON"),
        (as_json() + "\n[1]", "line 2: not a JSON object"),
        ("[" + as_json() + "]", "line 1: not a JSON object; write one object per line"),
        (as_json(rate_micros=2500.5), "line 1: rate_micros is 2500.5"),
        (as_json(rate_micros=True), "line 1: rate_micros is True"),
        (as_json(starts_at=1_767_225_600), "line 1: starts_at is 1767225600"),
        (as_json(currency=None), "line 1: currency is None"),
        (as_json(colour="red"), "line 1: unknown field 'colour'; known are campaign_id"),
        ('{"campaign_id": "c1"}', "line 1: Object missing required field `currency`"),
        ('{"campaign_id": ' * 5000, "line 1: not JSON"),
        (b"\x1f\x8bnot gzip", "not a whole gzip file"),
        (gzip.compress(GOOD.encode())[:-9], "not a whole gzip file"),
        (HEADER.encode() + b"\nc\xff,", "line 2 is not UTF-8 (byte 0xff)"),
    ],
)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(CatalogueError) as error:
        read_campaigns(write(tmp_path, content))
    assert said in str(error.value)


def test_lists_many_problems_but_not_all(tmp_path: Path) -> None:
    path = write(tmp_path, "promoter_id,status\n" + "p,gone\n" * 50)
    with pytest.raises(CatalogueError) as error:
        read_promoters(path)
    assert str(error.value).count("\n") == 21
    assert str(error.value).endswith("… and 30 more")


@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused_with_the_name_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = write(tmp_path_factory.getbasetemp(), content)
    for read in (read_campaigns, read_promoters):
        with pytest.raises(CatalogueError, match="file"):
            read(path)
