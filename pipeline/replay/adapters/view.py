"""NDJSON of `view/1`. A bad line is a bad event, which the pipeline refuses with its reason."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from pipeline.cli.problems import Problem
from schemas.view import View

_decode = msgspec.json.Decoder().decode
_FIELDS = frozenset(View.__struct_fields__)
_HEAD = 100


def read_views(path: Path, lines: Iterator[bytes]) -> Iterator[tuple[int, dict[str, Any] | bytes]]:
    """Every line, as a dict where it is a JSON object.

    Raises:
        Problem: none of the first 100 lines is an object with a field of `view/1`.
    """
    head = list(islice(lines, _HEAD))
    if not any(_resembles_a_view(_parse(line)) for line in head):
        start = next(iter(head), b"")[:60].decode(errors="replace")
        raise Problem(
            f"{path}, line 1: expected one JSON object of view/1 per line, found {start!r}, "
            f"and no view in the first {len(head)} lines; is --adapter right?"
        )
    for number, line in enumerate(chain(head, lines), 1):
        yield number, _parse(line)


def _parse(line: bytes) -> dict[str, Any] | bytes:
    try:
        event = _decode(line)
    except (ValueError, RecursionError):
        return line
    return event if type(event) is dict else line


def _resembles_a_view(event: dict[str, Any] | bytes) -> bool:
    return isinstance(event, dict) and not _FIELDS.isdisjoint(event)
