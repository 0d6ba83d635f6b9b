"""Catalogue files: CSV with a header or JSON lines, plain or gzip. All lines are right, or none."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, get_args

import msgspec

from schemas.catalogue import Campaign, CampaignStatus, Promoter, PromoterStatus
from schemas.money import parse_currency

MAX_RATE_MICROS = 10**12
"""A million units of the currency per view."""
MAX_BUDGET_MICROS = 10**18
_SHOWN = 20
"""Problems that one error lists."""

_RANGES = {
    "rate_micros": (1, MAX_RATE_MICROS),
    "budget_micros": (0, MAX_BUDGET_MICROS),
    "fee_bp": (0, 10_000),
    "daily_budget_micros": (0, MAX_BUDGET_MICROS),
    "hold_hours": (0, 8_760),
}

Row = TypeVar("Row", Campaign, Promoter)
Line = tuple[int, object]
"""Line number, and what it holds or why it holds nothing."""

_ID = "1 to 64 printable characters, no spaces around them"
_WANTED: dict[type, dict[str, str]] = {
    Campaign: {
        "campaign_id": _ID,
        "currency": "a three-letter ISO 4217 code such as EUR",
        "rate_micros": f"a whole number from 1 to {MAX_RATE_MICROS}; 2500 is 0.0025 per view",
        "budget_micros": f"a whole number from 0 to {MAX_BUDGET_MICROS}; 5000000 is 5.00",
        "starts_at": "an ISO 8601 time such as 2026-01-31T00:00:00Z",
        "ends_at": "an ISO 8601 time later than starts_at",
        "status": " or ".join(get_args(CampaignStatus)),
        "fee_bp": "a whole number of basis points from 0 to 10000; 250 is 2.5 %",
        "daily_budget_micros": f"empty, or a whole number from 0 to {MAX_BUDGET_MICROS}",
        "hold_hours": "a whole number of hours from 0 to 8760",
    },
    Promoter: {"promoter_id": _ID, "status": " or ".join(get_args(PromoterStatus))},
}


class CatalogueError(Exception):
    """What is wrong with a catalogue, and what to do; nothing was imported."""


class _LineError(Exception):
    """What is wrong with a line."""


def read_campaigns(path: Path) -> list[Campaign]:
    """The campaigns of a file. Times without a zone are UTC.

    Raises:
        CatalogueError: names file, line, field, value and what is wanted, for up to 20 lines.
        OSError: the file cannot be read.
    """
    return _read(path, Campaign, "campaign_id", other="promoter_id")


def read_promoters(path: Path) -> list[Promoter]:
    """The promoters of a file; raises as `read_campaigns` does."""
    return _read(path, Promoter, "promoter_id", other="campaign_id")


def _read(path: Path, kind: type[Row], key: str, other: str) -> list[Row]:
    rows: list[Row] = []
    first_seen: dict[str, int] = {}
    problems: list[str] = []
    for number, fields in _lines(path, kind):
        # One file of JSON lines may hold campaigns and promoters.
        if isinstance(fields, dict) and other in fields and key not in fields:
            continue
        try:
            row = _convert(fields, kind)
            _check(row, key)
            name = getattr(row, key)
            earlier = first_seen.setdefault(name, number)
            if earlier != number:
                raise _LineError(f"{key} {name!r} is in line {earlier} already; keep one of them")
            rows.append(row)
        except _LineError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        more = [f"… and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        listed = "\n  ".join(problems[:_SHOWN] + more)
        raise CatalogueError(f"{path}: nothing was imported\n  {listed}")
    if not rows:
        raise CatalogueError(f"{path}: no {key.removesuffix('_id')} in it; nothing was imported")
    return rows


def _lines(path: Path, kind: type[Row]) -> Iterator[Line]:
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise CatalogueError(f"{path}: not a whole gzip file ({error})") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CatalogueError(
            f"{path}: line {line} is not UTF-8 (byte {content[error.start]:#04x}); "
            "save the file as UTF-8"
        ) from None
    return _json_lines(text) if text.lstrip()[:1] in ("{", "[") else _csv_lines(text, kind)


def _json_lines(text: str) -> Iterator[Line]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
                yield number, _LineError(f"not JSON ({error}); write one object per line")


def _csv_lines(text: str, kind: type[Row]) -> Iterator[Line]:
    required = [field.name for field in msgspec.structs.fields(kind) if field.required]
    optional = [field.name for field in msgspec.structs.fields(kind) if not field.required]
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        extra = set(header) - set(required)
        if len(set(header)) < len(header) or set(required) - set(header) or extra - set(optional):
            names = f"the header is {','.join(header)!r} and should be {','.join(required)!r}"
            also = f", and may have {','.join(optional)!r}" if optional else ""
            yield number, _LineError(names + also)
            return
        number = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(header):
                counts = f"{len(cells)} values, and {len(header)} columns in the header"
                yield number, _LineError(counts)
            elif cells:
                named = zip(header, cells, strict=True)
                # An empty cell of an optional column is as if the column were not there.
                yield number, {k: v for k, v in named if k in required or v.strip()}
            number = reader.line_num + 1
    except csv.Error as error:
        yield number, _LineError(f"not CSV ({error})")


def _convert(fields: object, kind: type[Row]) -> Row:
    if isinstance(fields, _LineError):
        raise fields
    if not isinstance(fields, dict):
        raise _LineError("not a JSON object; write one object per line")
    unknown = sorted(set(fields) - set(kind.__struct_fields__))
    if unknown:
        raise _LineError(
            f"unknown field {unknown[0]!r}; known are {', '.join(kind.__struct_fields__)}"
        )
    parsed = dict(fields)
    for name, parse in _PARSERS.items():
        if isinstance(fields.get(name), str):
            try:
                parsed[name] = parse(fields[name])
            except (ValueError, OverflowError):
                raise _unwanted(kind, name, fields[name]) from None
    try:
        return msgspec.convert(parsed, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`")
        raise (_unwanted(kind, name, fields[name]) if name else _LineError(what)) from None


def _check(row: Campaign | Promoter, key: str) -> None:
    name = getattr(row, key)
    if not (1 <= len(name) <= 64 and name.isprintable() and name == name.strip()):
        raise _unwanted(type(row), key, name)
    if isinstance(row, Campaign):
        for field, (least, most) in _RANGES.items():
            value = getattr(row, field)
            if value is not None and not least <= value <= most:
                raise _unwanted(Campaign, field, value)
        if row.starts_at >= row.ends_at:
            raise _unwanted(Campaign, "ends_at", row.ends_at.isoformat())


def _unwanted(kind: type, field: str, value: object) -> _LineError:
    shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:80] + "…"
    return _LineError(f"{field} is {shown}; it must be {_WANTED[kind][field]}")


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text.strip())
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _whole(text: str) -> int:
    if not re.fullmatch("-?[0-9]{1,30}", text.strip()):  # no 1e6, no 5_000: money is exact
        raise ValueError
    return int(text)


_PARSERS: dict[str, Callable[[str], object]] = {
    "currency": parse_currency,
    "rate_micros": _whole,
    "budget_micros": _whole,
    "fee_bp": _whole,
    "daily_budget_micros": _whole,
    "hold_hours": _whole,
    "starts_at": _instant,
    "ends_at": _instant,
}
