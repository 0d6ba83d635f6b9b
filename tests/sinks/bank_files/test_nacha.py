"""NACHA: read back by its columns, with the format's own arithmetic done again."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.payments import (
    AMERICA,
    CHECKING,
    EUROPE,
    PARIS,
    SAVINGS,
    batch,
    transfer,
    transfer_lists,
)

from schemas.payout import Ach, Payer
from sinks.bank_files.nacha import MAX_MINOR, nacha, refusal

GOLDEN = Path(__file__).parent / "golden"
MIXED = batch(
    transfer(1, SAVINGS),
    transfer(2, CHECKING, name="Müller & Söhne Kommanditgesellschaft", amount_minor=MAX_MINOR),
    transfer(3, Ach("021000021", "A" * 17), amount_minor=1),
    transfer(4, CHECKING, amount_minor=99),
    payer=AMERICA,
)
Entry = dict[str, str]


def read(content: bytes) -> tuple[str, list[tuple[str, list[str], str]], str]:
    """File header, batches (header, entries, control), file control; blocks checked."""
    lines = content.decode("ascii").split("\n")
    assert lines.pop() == ""
    assert len(lines) % 10 == 0
    assert {len(line) for line in lines} == {94}
    while lines[-1] == "9" * 94:
        lines.pop()
    header, *middle, control = lines
    assert header[0] + control[0] == "19"
    batches: list[tuple[str, list[str], str]] = []
    for line in middle:
        if line[0] == "5":
            batches.append((line, [], ""))
        elif line[0] == "6":
            batches[-1][1].append(line)
        else:
            assert line[0] == "8"
            batches[-1] = (*batches[-1][:2], line)
    return header, batches, control


def sums(entries: list[str]) -> tuple[int, int, int, int]:
    """Count, hash, debited, credited."""
    debited = [int(line[29:39]) for line in entries if line[1:3] in ("27", "37")]
    credited = [int(line[29:39]) for line in entries if line[1:3] in ("22", "32")]
    hashed = sum(int(line[3:11]) for line in entries) % 10**10
    assert len(debited) + len(credited) == len(entries)
    return len(entries), hashed, sum(debited), sum(credited)


@pytest.mark.parametrize(("name", "balanced"), [("nacha", True), ("nacha-unbalanced", False)])
def test_the_file_is_the_golden_one(name: str, balanced: bool) -> None:
    assert nacha(MIXED, balanced=balanced) == (GOLDEN / f"{name}.ach").read_bytes()


@pytest.mark.parametrize("balanced", [True, False])
@settings(max_examples=50)
@given(transfers=transfer_lists([CHECKING, SAVINGS]), batch_id=st.integers(1, 10**9))
def test_the_arithmetic_of_the_format_holds(transfers: list, batch_id: int, balanced: bool) -> None:
    accepted = [
        each
        for each in (msgspec.structs.replace(t, currency="USD") for t in transfers)
        if refusal(each) is None
    ]
    if not accepted:
        return
    content = nacha(batch(*accepted, payer=AMERICA, batch_id=batch_id), balanced=balanced)
    header, batches, control = read(content)
    assert header[:23] == "101 0210000211234567890"
    assert header[23:40] == f"2611232359{header[33]}094101"
    entries = [entry for _, lines, _ in batches for entry in lines]
    for number, (head, lines, tail) in enumerate(batches, start=1):
        count, hashed, debited, credited = sums(lines)
        assert tail[1:4] == head[1:4] == ("200" if balanced else "220")
        assert (int(tail[4:10]), int(tail[10:20])) == (count, hashed)
        assert (int(tail[20:32]), int(tail[32:44])) == (debited, credited)
        assert debited == (credited if balanced else 0)
        assert head[79:87] == tail[79:87] == "02100002"
        assert int(head[87:]) == int(tail[87:]) == number
        assert head[40:50] == tail[44:54] == AMERICA.company_id
        assert head[69:75] == "261125"
    count, hashed, debited, credited = sums(entries)
    blocks = content.count(b"\n") // 10
    assert (int(control[1:7]), int(control[7:13])) == (len(batches), blocks)
    assert (int(control[13:21]), int(control[21:31])) == (count, hashed)
    assert (int(control[31:43]), int(control[43:55])) == (debited, credited)
    assert credited == sum(each.amount_minor for each in accepted)
    traces = [int(entry[79:]) for entry in entries]
    assert traces == [2_100_002 * 10**7 + n for n in range(1, len(entries) + 1)]
    paid = {
        entry[39:54].strip(): (int(entry[29:39]), entry[3:12], entry[12:29].strip())
        for entry in entries
        if entry[1:3] in ("22", "32")
    }
    assert paid == {
        each.end_to_end_id: (each.amount_minor, each.details.routing, each.details.account)
        for each in accepted
    }


def test_businesses_and_persons_are_batches_of_their_own() -> None:
    _, batches, _ = read(nacha(MIXED, balanced=False))
    shown = [(head[50:53], [line[39:54].strip() for line in lines]) for head, lines, _ in batches]
    assert shown == [("CCD", ["VL2", "VL4"]), ("PPD", ["VL1", "VL3"])]
    codes = {line[39:54].strip(): line[1:3] for _, lines, _ in batches for line in lines}
    assert codes == {"VL1": "32", "VL2": "22", "VL3": "22", "VL4": "22"}


def test_offsets_debit_the_payer_in_parts_that_fit() -> None:
    _, batches, _ = read(nacha(MIXED, balanced=True))
    offsets = [line for line in batches[0][1] if line[1:3] == "27"]
    assert [int(line[29:39]) for line in offsets] == [MAX_MINOR, 99]
    assert {(line[3:12], line[12:29].strip()) for line in offsets} == {("021000021", "99887766")}


def test_files_of_one_day_are_told_apart() -> None:
    content = [nacha(batch(transfer(1, CHECKING), payer=AMERICA, batch_id=n), balanced=False)
               for n in range(36)]  # fmt: skip
    assert len({each[33] for each in content}) == 36


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (transfer(details=PARIS), "paid by iban, not ach"),
        (transfer(details=CHECKING, currency="EUR"), "EUR is not paid in this format, only USD"),
        (transfer(details=CHECKING, amount_minor=MAX_MINOR + 1), "99,999,999.99"),
        (transfer(details=CHECKING, amount_minor=0), "more than nothing"),
        (transfer(details=Ach("091000018", "1")), "routing"),
        (transfer(details=Ach("09100001", "1")), "routing"),
        (transfer(details=Ach("٠٩١٠٠٠٠١٩", "1")), "routing"),
        (transfer(details=Ach("000000000", "1")), "routing"),
        (transfer(details=Ach("091000019", "")), "account"),
        (transfer(details=Ach("091000019", "1" * 18)), "account"),
        (transfer(details=Ach("091000019", "12\n34")), "account"),
        (transfer(details=CHECKING, name="\u202e"), "name"),
    ],
)
def test_refusals_say_why(refused: object, why: str) -> None:
    reason = refusal(refused)
    assert reason is not None
    assert why in reason
    with pytest.raises(ValueError, match=r"batch 7 .* line 1"):
        nacha(batch(refused, payer=AMERICA), balanced=True)


@pytest.mark.parametrize(
    ("payer", "why"),
    [
        (EUROPE, "no account by routing"),
        (msgspec.structs.replace(AMERICA, company_id="123"), "'123', not the ten characters"),
        (msgspec.structs.replace(AMERICA, bank_name=""), "bank's name"),
        (msgspec.structs.replace(AMERICA, details=Ach("021000022", "1")), "routing"),
    ],
)
def test_a_payer_who_cannot_pay_so_is_named(payer: Payer, why: str) -> None:
    with pytest.raises(ValueError, match=f"payer.*{why}"):
        nacha(batch(transfer(1, CHECKING), payer=payer), balanced=True)


def test_totals_beyond_twelve_digits_are_refused() -> None:
    huge = [transfer(n, CHECKING, amount_minor=MAX_MINOR) for n in range(1, 103)]
    with pytest.raises(ValueError, match="does not fit into 12 digits"):
        nacha(batch(*huge, payer=AMERICA), balanced=False)


@pytest.mark.parametrize("entries", range(5, 19))
def test_blocks_are_filled_whatever_the_number_of_entries(entries: int) -> None:
    lines = [transfer(n, CHECKING) for n in range(1, entries + 1)]
    content = nacha(batch(*lines, payer=AMERICA), balanced=False)
    _, [(_, read_back, _)], control = read(content)
    records = entries + 4
    assert len(read_back) == entries
    assert int(control[7:13]) == -(-records // 10) == content.count(b"\n") // 10


def test_the_hash_keeps_its_last_ten_digits() -> None:
    lines = [transfer(n, Ach("325070760", "1")) for n in range(1, 1_001)]
    _, [(_, _, tail)], control = read(nacha(batch(*lines, payer=AMERICA), balanced=False))
    assert 32_507_076 * 1_000 == 32_507_076_000
    assert tail[10:20] == control[21:31] == "2507076000"
