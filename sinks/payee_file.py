"""Payee files: CSV with a header or JSON lines, plain or gzip. All lines are right, or none.

What stands in a field may be an account number in the wrong column, so no value is repeated in
an error: line and field find it.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from schemas.payee import Payee, TaxForm
from schemas.payout import Ach, Address, BankDetails, Iban, Method, Paypal
from sinks.payee_check import check_payee
from sinks.payees import PayeeError

_SHOWN = 20


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The columns of a payee file; those with a default may be left out or empty."""

    promoter_id: str
    legal_name: str
    street: str = ""
    building: str = ""
    postcode: str = ""
    town: str
    region: str = ""
    country: str
    currency: str
    method: Method
    iban: str = ""
    bic: str = ""
    routing: str = ""
    account: str = ""
    account_type: Literal["checking", "savings", ""] = ""
    holder: Literal["business", "person", ""] = ""
    email: str = ""
    tax_form: TaxForm | Literal[""] = ""
    backup_withholding: bool | Literal[""] = False


_WANTED = {
    "method": "iban, ach or paypal",
    "account_type": "checking or savings",
    "holder": "business or person",
    "tax_form": "none, w9 or w8",
    "backup_withholding": "true or false",
}
_OF_METHOD = {
    "iban": ("iban", "bic"),
    "ach": ("routing", "account", "account_type", "holder"),
    "paypal": ("email",),
}


class PayeeFile(NamedTuple):
    """The payees of a file, and what a person should look at, with line numbers."""

    payees: list[Payee]
    warnings: list[str]


class _LineError(Exception):
    """What is wrong with a line; without its values."""


def read_payees(path: Path) -> PayeeFile:
    """The payees of a file.

    Raises:
        PayeeError: names file, line, field and what is wanted, for up to 20 problems.
        OSError: the file cannot be read.
    """
    payees, warnings, problems = [], [], []
    first_seen: dict[str, int] = {}
    for number, fields in _lines(path):
        try:
            payee = _convert(fields)
        except _LineError as error:
            problems.append(f"line {number}: {error}")
            continue
        earlier = first_seen.setdefault(payee.promoter_id, number)
        if earlier != number:
            problems.append(f"line {number}: the promoter of line {earlier} again; keep one")
        findings = check_payee(payee)
        problems += [f"line {number}: {problem}" for problem in findings.problems]
        warnings += [f"line {number}: {warning}" for warning in findings.warnings]
        payees.append(payee)
    if problems:
        more = [f"… and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        listed = "\n  ".join(problems[:_SHOWN] + more)
        raise PayeeError(f"{path}: nothing was imported\n  {listed}")
    if not payees:
        raise PayeeError(f"{path}: no payee in it; nothing was imported")
    return PayeeFile(payees, warnings)


def _lines(path: Path) -> Iterator[tuple[int, object]]:
    """Line numbers, and what each holds or the error that says why it holds nothing."""
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error):
            raise PayeeError(f"{path}: not a whole gzip file; nothing was imported") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PayeeError(f"{path}: line {line} is not UTF-8; save the file as UTF-8") from None
    return _json_lines(text) if text.lstrip()[:1] in ("{", "[") else _csv_lines(text)


def _json_lines(text: str) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
                yield number, _LineError("not JSON; write one object per line")


def _csv_lines(text: str) -> Iterator[tuple[int, object]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        for position, name in enumerate(header, start=1):
            if name not in Line.__struct_fields__ or name in header[: position - 1]:
                yield (
                    1,
                    _LineError(f"column {position} of the header is unknown or twice; {_KNOWN}"),
                )
                return
        number = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(header):
                counts = f"{len(cells)} values, and {len(header)} columns in the header"
                yield number, _LineError(counts)
            elif cells:
                yield number, dict(zip(header, cells, strict=True))
            number = reader.line_num + 1
    except csv.Error as error:
        yield number, _LineError(f"not CSV ({error})")


_KNOWN = f"known are {', '.join(Line.__struct_fields__)}"


def _convert(fields: object) -> Payee:
    if isinstance(fields, _LineError):
        raise fields
    if not isinstance(fields, dict):
        raise _LineError("not a JSON object; write one object per line")
    if not set(fields) <= set(Line.__struct_fields__):
        raise _LineError(f"a field that is not known; {_KNOWN}")
    fields = {name: v.strip() if isinstance(v, str) else v for name, v in fields.items()}
    if isinstance(fields.get("backup_withholding"), str):
        said = fields["backup_withholding"].lower()
        fields["backup_withholding"] = {"true": True, "false": False, "": False}.get(said, said)
    for name in Line.__struct_fields__:
        if name in fields and name not in _WANTED and not isinstance(fields[name], str):
            raise _LineError(f"{name} must be text, in quotes")
    try:
        line = msgspec.convert(fields, Line)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`")
        if name:
            raise _LineError(f"{name} must be {_WANTED[name]}") from None
        raise _LineError(what) from None  # a field is missing, and named
    for method, names in _OF_METHOD.items():
        for name in names:
            if method != line.method and getattr(line, name):
                raise _LineError(f"{name} is for method {method} and the method is {line.method}")
    return _payee(line)


def _payee(line: Line) -> Payee:
    address = {name: getattr(line, name) for name in Address.__struct_fields__}
    return Payee(
        promoter_id=line.promoter_id,
        legal_name=line.legal_name,
        address=Address(**address | {"country": line.country.upper()}),
        currency=line.currency.upper(),
        details=_details(line),
        tax_form=line.tax_form or "none",
        backup_withholding=bool(line.backup_withholding),
    )


def _details(line: Line) -> BankDetails:
    if line.method == "iban":
        return Iban(*(text.replace(" ", "").upper() for text in (line.iban, line.bic)))
    if line.method == "ach":
        kind, holder = line.account_type or "checking", line.holder or "person"
        return Ach(line.routing, line.account, kind, holder)
    return Paypal(line.email)
