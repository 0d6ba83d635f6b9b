"""Where the stages take place: services of their own, simulated traffic, its catalogue."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pipeline.embedded.stack import start_services, stop
from pipeline.replay.produce import Message, connect, produce
from pipeline.replay.replay import messages
from pipeline.simulate.simulate import simulate
from pipeline.simulate.traffic import DELIVERY_SPAN_MS, START_MS
from pipeline.topics import ensure_topics
from schemas.settings import Settings
from sinks import postgres
from sinks.catalogue import import_campaigns, import_promoters
from sinks.migrate import migrate_up

_SEED = 20_260_105
_NO_QUOTA = 10**12
"""Is counted all the same."""


class World(NamedTuple):
    """What the stages share."""

    settings: Settings
    stream: Iterator[Message]
    """Key and value of the events of one simulated day, in the order of their arrival."""

    def next(self, events: int) -> Iterator[Message]:
        """The next events of the day."""
        return islice(self.stream, events)

    def produce(self, messages: Iterable[Message]) -> None:
        """Sends messages to `views.raw` as fast as possible."""
        failed: Counter[str] = Counter()
        produce(connect(self.settings.url("kafka"), failed), messages, failed)
        assert not failed, failed


@contextmanager
def world(events: int, say: Callable[[str], None]) -> Iterator[World]:
    """Services in a temporary folder, without workers, and `events` events to send.

    All events are of one day of one simulation, so that viewers and campaigns come again from
    stage to stage.
    """
    with tempfile.TemporaryDirectory(prefix="viewledger-bench-") as folder:
        settings = Settings(
            data=Path(folder) / "data",
            workers=1,
            models=Path(folder) / "models",
            key_events_per_minute=_NO_QUOTA,
            address_events_per_minute=_NO_QUOTA,
        )
        traffic, catalogue = Path(folder) / "traffic.ndjson", Path(folder) / "catalogue.jsonl"
        say(f"simulating {events:,} events")
        simulate(events, _SEED, traffic, catalogue=catalogue)
        say("starting services")
        try:
            start_services(settings)
            ensure_topics(settings)
            migrate_up(settings)
            with postgres.connect(settings) as connection:
                import_campaigns(connection, catalogue)
                import_promoters(connection, catalogue)
            shift = int(time.time() * 1000) - START_MS - DELIVERY_SPAN_MS
            yield World(settings, messages(traffic, "view", shift))
        finally:
            stop(settings)
