"""Ad clicks of the TalkingData AdTracking Fraud Detection competition (CSV) as views.

`app` is the campaign, `channel` the promoter, (ip, device, os) the viewer. All are encoded
numbers; the address is put into 10.0.0.0/8. The label (`is_attributed`) is never read.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.cli.problems import Problem
from pipeline.replay.adapters.derived import event_id, pseudonym, synthetic_watch

_COLUMNS = ("ip", "app", "device", "os", "channel", "click_time")


def read_talkingdata(
    path: Path, lines: Iterator[bytes]
) -> Iterator[tuple[int, dict[str, Any] | bytes]]:
    """Every row as a view.

    Raises:
        Problem: a column is missing, or a row has a wrong value.
    """
    header = next(lines, b"").decode(errors="replace").split(",")
    missing = [column for column in _COLUMNS if column not in header]
    if missing:
        raise Problem(
            f"{path}, line 1: expected a CSV header with the columns {', '.join(_COLUMNS)}; "
            f"{', '.join(missing)} missing"
        )
    places = [header.index(column) for column in _COLUMNS]
    seen: Counter[str] = Counter()
    for number, line in enumerate(lines, 2):
        if not line:
            continue
        cells = line.decode(errors="replace").split(",")
        if len(cells) != len(header):
            raise Problem(
                f"{path}, line {number}: expected {len(header)} columns, found {len(cells)}"
            )
        yield number, _view([cells[place] for place in places], seen, f"{path}, line {number}")


def _view(cells: list[str], seen: Counter[str], where: str) -> dict[str, Any]:
    *codes, click_time = cells
    for column, code in zip(_COLUMNS, codes, strict=False):
        if not (code.isascii() and code.isdigit() and len(code) <= 9):
            raise Problem(f"{where}: expected a whole number for {column}, found {code[:40]!r}")
    try:
        if len(click_time) != len("2017-11-07 11:31:40"):
            raise ValueError
        clicked = datetime.fromisoformat(click_time).replace(tzinfo=UTC)
    except ValueError:
        raise Problem(
            f"{where}: expected a click_time like 2017-11-07 11:31:40, found {click_time[:40]!r}"
        ) from None
    ip, app, device, os, channel = codes
    at = int(clicked.timestamp()) * 1000
    content = ",".join(cells)
    viewer = pseudonym(ip, device, os)
    address = int(ip)
    return {
        "schema": "view/1",
        "event_id": event_id(content, seen),
        "campaign_id": f"app-{app}",
        "promoter_id": f"channel-{channel}",
        "post_id": f"app-{app}-channel-{channel}",
        "platform": "web",
        "viewer_id": viewer,
        "session_id": pseudonym(viewer, at // 3_600_000),
        "occurred_at": at,
        "sent_at": at,
        "received_at": at,
        "ip": f"10.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}",
        **synthetic_watch(content),
        "attrs": {"device": device, "os": os},
    }
