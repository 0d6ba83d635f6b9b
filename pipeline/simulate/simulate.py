"""`simulate`: people and bots, delivered, written to files."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from pipeline.simulate.bots import bot_traffic
from pipeline.simulate.catalogue import Catalogue, make_catalogue
from pipeline.simulate.delivery import RETRIED, Delivered, deliver
from pipeline.simulate.files import written
from pipeline.simulate.human import human_traffic
from pipeline.simulate.malformed import KINDS
from pipeline.simulate.traffic import Views
from pipeline.simulate.writer import LABELS_HEADER, chunks

_BOTS = 0.25
_MALFORMED = 0.002


class Traffic(NamedTuple):
    """All that was simulated, before it is written."""

    catalogue: Catalogue
    views: Views
    delivered: Delivered


def make_traffic(lines: int, seed: int) -> Traffic:
    """Traffic that comes to exactly `lines` deliveries."""
    streams = np.random.default_rng(seed).spawn(5)
    malformed = min(max(len(KINDS), round(_MALFORMED * lines)), lines // 20)
    events = lines - round(RETRIED * lines)
    bots = round(_BOTS * events)
    catalogue = make_catalogue(streams[0], lines)
    people = human_traffic(streams[1], events - bots, catalogue.posts)
    views = np.concatenate([people, *bot_traffic(streams[2], bots, catalogue.posts, people)])
    views["event"] = streams[3].integers(0, 2**64, (len(views), 2), dtype=np.uint64)
    delivered = deliver(streams[4], views, catalogue.posts, lines, malformed)
    return Traffic(catalogue, views, delivered)


def simulate(
    lines: int,
    seed: int,
    out: Path,
    labels: Path | None = None,
    catalogue: Path | None = None,
    on_progress: Callable[[int], None] = lambda written: None,
) -> None:
    """Writes `lines` events to `out`; the same arguments give the same bytes.

    Args:
        out: NDJSON of `view/1`, gzipped if its name ends in `.gz`.
        labels: CSV `line,event_id,label,is_duplicate,refusal`, one row per line of `out`.
        catalogue: JSON lines, campaigns and then promoters: `campaigns import` and
            `promoters import` each take theirs.
        on_progress: called with the number of lines written since the last call.

    Raises:
        OSError: a file cannot be written; then none of them is there.
    """
    traffic = make_traffic(lines, seed)
    with ExitStack() as files:
        events_file = files.enter_context(written(out))
        labels_file = files.enter_context(written(labels)) if labels else None
        if labels_file:
            labels_file.write(LABELS_HEADER.encode())
        if catalogue:
            rows = [*traffic.catalogue.campaigns, *traffic.catalogue.promoters]
            files.enter_context(written(catalogue)).write(msgspec.json.Encoder().encode_lines(rows))
        for chunk in chunks(traffic.views, traffic.delivered, traffic.catalogue.posts):
            events_file.write(chunk.events)
            if labels_file:
                labels_file.write(chunk.labels)
            on_progress(chunk.lines)
