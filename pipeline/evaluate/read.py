"""Files as labelled events, by the product's own adapters."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.batch import Batch, batch_of_views
from models.engine.view import columns_of_batch
from models.hashing import Keys, Memo, combine, text_key
from models.protocol import Labelled
from models.training import HUMAN
from pipeline.cli.problems import Problem
from pipeline.evaluate.labels import (
    EDIT_ATTRIBUTES,
    Told,
    talkingdata_labels,
    view_labels,
    wikipedia_labels,
)
from pipeline.replay.adapters import ADAPTERS
from pipeline.replay.source import check_file, read_lines
from schemas.view import View

_BESIDE = {"talkingdata": talkingdata_labels, "wikipedia": wikipedia_labels}
_KEYS = Memo(text_key)


class File(NamedTuple):
    """The events of a file in log order."""

    events: Labelled
    batch: Batch
    """The same as the stream has them."""
    made_by: npt.NDArray[np.str_]
    """Who made each, as the labels of views say it; else `positive` and `negative`."""
    campaign_ids: list[str]

    def only(self, rows: npt.NDArray[np.int64]) -> "File":
        """Some of the events, by their rows."""
        return File(
            self.events.rows(rows),
            Batch._make(column.take(rows) for column in self.batch),
            self.made_by[rows],
            [self.campaign_ids[row] for row in rows.tolist()],
        )


def read_file(adapter: str, path: Path, labels: list[Path]) -> File:
    """The labelled events of a file: each event id once, without what the pipeline refuses.

    Args:
        adapter: of `pipeline.replay.adapters.ADAPTERS`.
        path: the file, plain or gzipped.
        labels: of the adapter `view`: who made the events.

    Raises:
        Problem: a file cannot be read, is not of its kind, or has no labels.
    """
    check_file(path)
    found: list[tuple[int, View]] = sorted(_views(adapter, path), key=lambda one: _log_time(one[1]))
    if not found:
        raise Problem(f"{path}: none of its lines is a valid event of view/1; is --adapter right?")
    if adapter == "view":
        made_by = view_labels(labels)
        kinds = [made_by.get(view.event_id) for _, view in found]
        told = [None if kind is None else Told(kind != HUMAN, kind=kind) for kind in kinds]
    else:
        beside = dict(_BESIDE[adapter](path, read_lines(path)))
        told = [beside[number] for number, _ in found]
    views = [view for (_, view), one in zip(found, told, strict=True) if one]
    known = [one for one in told if one]
    if not known:
        raise Problem(f"{path}: the label files know none of its events; are they of this file?")
    batch = _batch(views)
    attributes = np.array([one.attributes for one in known], np.float64)
    names = (*EDIT_ATTRIBUTES, "main", "talk") if adapter == "wikipedia" else ()
    events = Labelled(
        columns=_COLUMNS[adapter](views, batch),
        positive=np.array([one.positive for one in known], np.bool_),
        attributes={name: attributes[:, i] for i, name in enumerate(names)},
        encode=adapter == "talkingdata",
    )
    return File(
        events,
        batch,
        np.array([one.kind or ("positive" if one.positive else "negative") for one in known]),
        [view.campaign_id for view in views],
    )


def _views(adapter: str, path: Path) -> Iterator[tuple[int, View]]:
    seen: set[str] = set()
    for number, event in ADAPTERS[adapter](path, read_lines(path)):
        if isinstance(event, bytes):
            continue
        try:
            view = msgspec.convert(event, View)
        except msgspec.ValidationError:
            continue
        if view.event_id not in seen:
            seen.add(view.event_id)
            yield number, view


def _log_time(view: View) -> int:
    return view.received_at or view.sent_at


def _batch(views: list[View]) -> Batch:
    log_time = np.array([_log_time(view) for view in views], np.int64)
    delay = np.array([view.sent_at - view.occurred_at for view in views], np.int64)
    return batch_of_views(views, log_time, log_time - delay, log_time)


def _keys(texts: Iterable[str | None]) -> Keys:
    return _KEYS.column(pa.array(list(texts), pa.string()))


def _clicks(views: list[View], batch: Batch) -> dict[str, npt.NDArray[Any]]:
    # The watch time is made up, and encoded addresses have no prefix.
    attrs = [dict(view.attrs or ()) for view in views]
    model = _keys(f"device {one.get('device')}" for one in attrs)
    os = _keys(f"os {one.get('os')}" for one in attrs)
    devices = {"device": combine(model, os), "model": model, "os": os}
    return _edits(batch) | {"ip": combine(batch.address)} | devices


def _edits(batch: Batch) -> dict[str, npt.NDArray[Any]]:
    columns = columns_of_batch(batch)
    return {
        name: columns[name] for name in ("time", "seen", "viewer", "campaign", "promoter", "post")
    }


_COLUMNS: dict[str, Callable[[list[View], Batch], dict[str, npt.NDArray[Any]]]] = {
    "view": lambda _, batch: (
        columns_of_batch(batch) | {"user_agent": _KEYS.column(batch.user_agents)}
    ),
    "talkingdata": _clicks,
    "wikipedia": lambda _, batch: _edits(batch),
}
