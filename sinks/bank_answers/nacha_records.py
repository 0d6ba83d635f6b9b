"""NACHA's records of 94 characters: cut, counted, and added up against their controls."""

import msgspec

from sinks.bank_answers.bank_file import AnswerError

MAX_BYTES = 64 * 1024 * 1024
_WIDTH = 94
_BLOCK = 10


class Record(msgspec.Struct, frozen=True):
    """One line, counted from 1."""

    line: int
    text: str

    def digits(self, first: int, last: int, name: str) -> int:
        """The number at positions `first` to `last`, counted from 1 as the standard does.

        Raises:
            AnswerError: not digits.
        """
        value = self.text[first - 1 : last]
        if not value.isdigit():
            raise AnswerError(
                f"line {self.line}, positions {first} to {last} ({name}): expected digits only"
            )
        return int(value)


class Entry(msgspec.Struct, frozen=True):
    """An entry detail record with what belongs to it."""

    detail: Record
    entry_class: str
    addenda: list[Record]

    @property
    def is_debit(self) -> bool:
        return self.detail.text[2] in "56789"


class _Totals(msgspec.Struct):
    records: int = 0
    hashed: int = 0
    debit: int = 0
    credit: int = 0


def records(content: bytes) -> list[Record]:
    """The lines of a file; also of one without line ends.

    Raises:
        AnswerError: too large, not printable ASCII, or a line that is too long.
    """
    if len(content) > MAX_BYTES:
        raise AnswerError(f"{len(content)} bytes; a file of NACHA has at most {MAX_BYTES} here")
    if not content.isascii():
        raise AnswerError("a character that is not ASCII; a file of NACHA has none")
    lines = content.decode("ascii").replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) == 1 and len(lines[0]) % _WIDTH == 0:
        lines = [lines[0][at : at + _WIDTH] for at in range(0, len(lines[0]), _WIDTH)]
    for number, line in enumerate(lines, start=1):
        if not line or len(line) > _WIDTH or not line.isprintable():
            raise AnswerError(
                f"line {number} has {len(line)} characters; expected {_WIDTH} printable ones"
            )
    # Blanks at the end are lost in many a mail program; digits are missed where they are read.
    return [Record(number, line.ljust(_WIDTH)) for number, line in enumerate(lines, start=1)]


def entries(lines: list[Record]) -> list[Entry]:
    """The entries of all batches, once every control record has been found to be right.

    Raises:
        AnswerError: a record out of its order, a wrong count, hash or sum, or an end too early.
    """
    found: list[Entry] = []
    total, batch, batches, entry_class = _Totals(), _Totals(), 0, ""
    for record in lines[1:]:
        kind = record.text[0]
        if kind == "9":
            if entry_class:
                raise AnswerError(f"line {record.line}: the file ends within a batch")
            _check_end(record, total, batches, lines)
            return found
        if kind == "5" and not entry_class:
            entry_class, batch = record.text[50:53].strip() or "?", _Totals()
        elif kind == "6" and entry_class:
            found.append(Entry(record, entry_class, []))
            _add(batch, found[-1])
        elif kind == "7" and entry_class and batch.records:
            found[-1].addenda.append(record)
            batch.records += 1
        elif kind == "8" and entry_class:
            _check(record, batch, count=(5, 10))
            batches, entry_class = batches + 1, ""
            for field in batch.__struct_fields__:
                setattr(total, field, getattr(total, field) + getattr(batch, field))
        else:
            raise AnswerError(f"line {record.line}: a record of type {kind!r} has no place here")
    raise AnswerError("the file ends without its control record (9...): it is not complete")


def _add(batch: _Totals, entry: Entry) -> None:
    amount = entry.detail.digits(30, 39, "amount")
    batch.records += 1
    batch.hashed += entry.detail.digits(4, 11, "routing number")
    entry.detail.digits(2, 3, "transaction code")
    if entry.is_debit:
        batch.debit += amount
    else:
        batch.credit += amount


def _check(record: Record, totals: _Totals, count: tuple[int, int]) -> None:
    first, last = count
    for name, expected, start, end in (
        ("entry and addenda count", totals.records, first, last),
        ("entry hash", totals.hashed % 10**10, last + 1, last + 10),
        ("total of debits", totals.debit, last + 11, last + 22),
        ("total of credits", totals.credit, last + 23, last + 34),
    ):
        said = record.digits(start, end, name)
        if said != expected:
            raise AnswerError(f"line {record.line}: {name} is {said}, the records give {expected}")


def _check_end(control: Record, total: _Totals, batches: int, lines: list[Record]) -> None:
    blocks = -(-control.line // _BLOCK)
    for name, expected, start, end in (
        ("batch count", batches, 2, 7),
        ("block count", blocks, 8, 13),
    ):
        said = control.digits(start, end, name)
        if said != expected:
            raise AnswerError(f"line {control.line}: {name} is {said}, the records give {expected}")
    _check(control, total, count=(14, 21))
    for record in lines[control.line :]:
        if record.text != "9" * _WIDTH:
            raise AnswerError(
                f"line {record.line}: more after the file's end; give every file on its own"
            )
