"""The first pass over a file: is it what it should be, when does it end, what is in it."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.cli.problems import Problem
from pipeline.replay.adapters import ADAPTERS
from pipeline.replay.source import check_file, read_lines
from schemas.view import LAST_MS


class Survey(NamedTuple):
    """What is known of a file before its first event is sent."""

    sha256: str
    """Of its lines; the same whether gzipped or not."""
    events: int
    last_ms: int | None
    """When its last event was received, or watched where no line says when it was received."""
    campaigns: set[str]
    promoters: set[str]


def survey(path: Path, adapter: str, on_bytes: Callable[[int], None]) -> Survey:
    """Reads the whole file.

    Raises:
        Problem: the file is damaged or not what the adapter expects.
    """
    check_file(path)
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for line in read_lines(path, on_bytes):
            digest.update(line + b"\n")
            yield line

    events, received, occurred = 0, -1, -1
    campaigns: set[str] = set()
    promoters: set[str] = set()
    for _, event in ADAPTERS[adapter](path, hashed()):
        events += 1
        if isinstance(event, bytes):
            continue
        received = max(received, _time(event.get("received_at")))
        occurred = max(occurred, _time(event.get("occurred_at")))
        _collect(event.get("campaign_id"), campaigns)
        _collect(event.get("promoter_id"), promoters)
    if events == 0:
        raise Problem(f"{path}: no events in it")
    last = received if received >= 0 else occurred
    return Survey(digest.hexdigest(), events, last if last >= 0 else None, campaigns, promoters)


def _time(value: Any) -> int:
    return value if type(value) is int and 0 <= value <= LAST_MS else -1


def _collect(value: Any, found: set[str]) -> None:
    if type(value) is str and 0 < len(value) <= 64:
        found.add(value)
