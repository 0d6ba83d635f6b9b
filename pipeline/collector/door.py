"""What all requests of one collector share, brought up and taken down together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

from pipeline.collector.capacity import Capacity
from pipeline.collector.client import Network, networks_of
from pipeline.collector.flood import Flood
from pipeline.collector.keyring import Keyring
from pipeline.collector.privacy import Privacy
from pipeline.collector.produce import Kafka
from pipeline.collector.quota import Quota
from schemas.settings import Settings

log = structlog.get_logger()


class Door(NamedTuple):
    """The parts of a collector."""

    settings: Settings
    name: str
    """Stamped on every event as `collector`."""
    trusted: tuple[Network, ...]
    keyring: Keyring
    privacy: Privacy
    quota: Quota
    flood: Flood
    capacity: Capacity
    kafka: Kafka

    def unready(self) -> list[str]:
        """Why no event could be accepted now; empty where one could."""
        reasons = {
            "Kafka does not answer": self.kafka.down,
            "API keys are not loaded yet: Postgres does not answer": not self.keyring.loaded,
            "too much is under way": self.capacity.full,
        }
        return [reason for reason, applies in reasons.items() if applies]


@asynccontextmanager
async def opened(settings: Settings, name: str) -> AsyncIterator[Door]:
    """A door with its caches kept fresh; on leaving, waits for what Kafka still owes it.

    Raises:
        NotRunningError: a service has neither a URL nor an embedded server.
    """
    door = Door(
        settings=settings,
        name=name,
        trusted=networks_of(settings.trusted_proxies),
        keyring=Keyring(settings),
        privacy=Privacy(settings),
        quota=Quota.connect(settings),
        flood=Flood(settings.viewer_events_per_minute),
        capacity=Capacity(settings.collector_memory_mb * 1024 * 1024),
        kafka=Kafka(settings),
    )
    await door.privacy.refresh()  # or the first events would come without hashes
    async with asyncio.TaskGroup() as group:
        watches = (door.keyring.keep_fresh(), door.privacy.keep_fresh(), door.kafka.keep_watch())
        tasks = [group.create_task(watch) for watch in watches]
        try:
            yield door
        finally:
            for task in tasks:
                task.cancel()
    left = await door.kafka.close(settings.collector_timeout_s)
    await door.quota.close()
    log.info("door closed", not_acknowledged=left)
