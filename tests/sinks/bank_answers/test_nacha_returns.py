import pytest
from support.bank_replies import ach_entry, ach_file
from support.payments import AMERICA, CHECKING, SAVINGS, batch, transfer

from schemas.payout import Answer
from sinks.bank_answers.bank_file import AnswerError
from sinks.bank_answers.nacha_codes import CHANGES, RETURNS
from sinks.bank_answers.read import read_answers
from sinks.bank_files.nacha import nacha

TRACE = "(trace 091000010000012)"
FILE = ach_file(
    ("PPD", [ach_entry("VL1", 123_45), ach_entry("VL2", 1, addenda="99R02", code=31)]),
    ("COR", [ach_entry("VL3", 0, addenda="98C01", information="987654321")]),
    ("CCD", [ach_entry("OTHER", 500, addenda="", code=22)]),
)


def changed(line: int, at: int, text: str) -> bytes:
    lines = FILE.decode().split("\n")
    row = lines[line - 1]
    lines[line - 1] = row[: at - 1] + text + row[at - 1 + len(text) :]
    return "\n".join(lines).encode()


def test_returns_and_changes() -> None:
    found = read_answers(FILE)
    assert (found.kind, found.message_id, found.unrelated) == (
        "nacha",
        "091000019-261124-1030A",
        1,
    )
    assert found.answers == [
        Answer(
            reference="VL1",
            outcome="returned",
            code="R03",
            text=f"no account, or it cannot be found {TRACE}",
            amount_minor=123_45,
            currency="USD",
        ),
        Answer(
            reference="VL2",
            outcome="returned",
            code="R02",
            text=f"account closed {TRACE}",
            amount_minor=1,
            currency="USD",
        ),
        Answer(
            reference="VL3",
            outcome="pending",
            code="C01",
            text=f"account number is to be corrected {TRACE}; see line 10 of the bank's file",
        ),
    ]


def test_the_corrected_account_stays_in_the_file() -> None:
    assert all("987654321" not in answer.text for answer in read_answers(FILE).answers)


@pytest.mark.parametrize(
    "content",
    [
        FILE.replace(b"\n", b"\r\n"),
        FILE.replace(b"\n", b""),
        FILE.rstrip(b"\n9") + b"\n",  # the control's blanks end the file then
        b"\n".join(line.rstrip() for line in FILE.split(b"\n")),
    ],
    ids=["CRLF", "no line ends", "no filler", "no blanks at the end"],
)
def test_line_ends_and_fillers_do_not_matter(content: bytes) -> None:
    assert read_answers(content) == read_answers(FILE)


@pytest.mark.parametrize(
    "entry",
    [
        ach_entry("VL1", 0),
        ach_entry("VL1", 0, code=23),
        ach_entry("VL1", 5, addenda="05ABC"),
    ],
    ids=["return of a prenote", "prenote", "other addenda"],
)
def test_unrelated(entry: list[str]) -> None:
    found = read_answers(ach_file(("PPD", [entry])))
    assert (found.answers, found.unrelated) == ([], 1)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (ach_entry("VLB7", 5, code=26), "return of a debit: no account"),
        (ach_entry("VL1", 5, addenda="99R67"), "dishonored return: duplicate"),
        (ach_entry("VL1", 5, addenda="99R77"), "contested"),
    ],
)
def test_what_a_person_has_to_look_at_moves_nothing(entry: list[str], text: str) -> None:
    (answer,) = read_answers(ach_file(("PPD", [entry]))).answers
    assert answer.outcome == "pending"
    assert answer.text.startswith(text)


def test_an_unknown_code_and_a_missing_id_are_still_answers() -> None:
    content = ach_file(("PPD", [ach_entry("", 5, addenda="99R99")]))
    (answer,) = read_answers(content).answers
    assert (answer.reference, answer.outcome) == ("trace 091000010000012", "returned")
    assert "not in our table" in answer.text


def test_a_file_of_ours_has_no_answers() -> None:
    ours = nacha(batch(transfer(1, SAVINGS), transfer(2, CHECKING), payer=AMERICA), balanced=True)
    found = read_answers(ours)
    assert found.answers == []
    assert found.unrelated == ours.count(b"\n6")


def test_the_tables_of_codes() -> None:
    assert {"R01", "R29", "R47", "R53", "R61", "R77", "R80", "R85"} <= set(RETURNS)
    assert set(CHANGES) == {f"C{number:02}" for number in range(1, 15)}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (changed(1, 35, "106"), "line 1, positions 35 to 40"),
        (changed(3, 30, "-000001234"), r"line 3, positions 30 to 39 \(amount\): expected digits"),
        (changed(3, 30, "0000012346"), "line 7: total of credits is 12346, the records give 12347"),
        (changed(3, 4, "02100003"), "line 7: entry hash is 4200004, the records give 4200005"),
        (changed(7, 5, "000003"), "line 7: entry and addenda count is 3, the records give 4"),
        (changed(15, 2, "000002"), "line 15: batch count is 2, the records give 3"),
        (changed(15, 8, "000009"), "line 15: block count is 9, the records give 2"),
        (changed(15, 22, "0000000001"), "line 15: entry hash is 1"),
        (changed(4, 4, "X03"), "line 4, positions 4 to 6: 'X03'"),
        (changed(4, 7, "09100001000001 "), "original trace number"),
        (changed(3, 79, "0"), "line 3, position 79"),
        (changed(2, 1, "6"), "line 2: a record of type '6' has no place"),
        (changed(7, 1, "5"), "line 7: a record of type '5' has no place"),
        (changed(16, 1, "1"), "line 16: more after the file's end"),
        (FILE[: 95 * 8], "without its control record"),
        (FILE[: 95 * 8 + 40], "without its control record|digits|positions"),
        (FILE + b"9" * 95, "line 21 has 95 characters"),
        (FILE.replace(b"JANE", b"J\x00NE"), "94 printable ones"),
        (FILE.replace(b"JANE", b"J\xc3\xa9E"), "not ASCII"),
        (FILE + FILE, "more after the file's end"),
        (
            ach_file(("PPD", [ach_entry("VL1", 5), ach_entry("VL1", 5)])),
            "VL1 is answered twice",
        ),
        (
            ach_file(("PPD", [[*ach_entry("VL1", 5), ach_entry("VL1", 5)[1]]])),
            "a second reason",
        ),
    ],
)
def test_refused(content: bytes, says: str) -> None:
    with pytest.raises(AnswerError, match=says):
        read_answers(content)
