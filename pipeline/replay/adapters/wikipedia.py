"""Wikipedia edits (NDJSON, the sample of the Apache Druid tutorial) as views.

`channel` is the campaign, `namespace` the promoter, `page` the post, `user` the viewer. User
and page become pseudonyms, the comment and the label (`isRobot`) are never read.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from pipeline.cli.problems import Problem
from pipeline.replay.adapters.derived import event_id, pseudonym, synthetic_watch
from schemas.view import Id


class Edit(msgspec.Struct):
    """What is read of a line."""

    time: datetime
    channel: Id
    namespace: Id
    page: str
    user: str
    delta: int | None = None


_decode = msgspec.json.Decoder(Edit).decode


def read_wikipedia(
    path: Path, lines: Iterator[bytes]
) -> Iterator[tuple[int, dict[str, Any] | bytes]]:
    """Every edit as a view.

    Raises:
        Problem: a line is not an edit.
    """
    seen: Counter[str] = Counter()
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            edit = _decode(line)
        except (ValueError, RecursionError) as error:
            raise Problem(
                f"{path}, line {number}: expected a JSON object with time, channel, namespace, "
                f"page and user: {error}"
            ) from None
        if edit.time.tzinfo is None:
            raise Problem(f"{path}, line {number}: `time` has no time zone: {edit.time}")
        yield number, _view(edit, seen)


def _view(edit: Edit, seen: Counter[str]) -> dict[str, Any]:
    at = round(edit.time.timestamp() * 1000)
    content = "\x1f".join([str(at), edit.channel, edit.page, edit.user, str(edit.delta)])
    viewer = pseudonym(edit.user)
    return {
        "schema": "view/1",
        "event_id": event_id(content, seen),
        "campaign_id": edit.channel.lstrip("#"),
        "promoter_id": edit.namespace.lower().replace(" ", "-"),
        "post_id": pseudonym(edit.channel, edit.page),
        "platform": "web",
        "viewer_id": viewer,
        "session_id": pseudonym(viewer, at // 3_600_000),
        "occurred_at": at,
        "sent_at": at,
        "received_at": at,
        **synthetic_watch(content),
    }
