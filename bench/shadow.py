"""`score_shadow`: the same worker with a shadow beside the champion, and what Redis has to do."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import redis

from bench.score import watched
from bench.workers import Worker, metrics_of, running
from bench.world import World
from models.registry import REGISTRY, Card, load_model
from schemas.chosen import Pin
from schemas.settings import Settings
from sinks import postgres
from sinks.models import add_shadow, remove_shadow

_NAME = "shadow"


def measure(world: World, events: int) -> dict[str, Any]:
    """Sends `events` to a worker that has its partitions, and nothing left to score.

    Claiming them is not measured: the log is long by now, and `restore` measures it. The shadow is
    a copy of the champion: as large, and as slow.
    """
    settings = world.settings
    with redis.Redis.from_url(settings.url("redis")) as client, postgres.connect(settings) as conn:
        client.flushall()
        empty = client.info("memory")["used_memory"]
        copied = _copy_champion(settings)
        add_shadow(conn, copied, _NAME, actor="bench")
        with running(settings, "score-0", pinned=True) as (worker,), ThreadPoolExecutor() as beside:
            _wait_for_claims(worker, settings.partitions)
            sent = beside.submit(world.produce, world.next(events))
            found = watched(settings, worker, events)
            sent.result()
        remove_shadow(conn, _NAME, actor="bench")
        entities = sum(client.hlen(name) for name in client.keys("viewledger:{*}:*"))
        memory = client.info("memory")["used_memory"] - empty
    return found | {"redis": {"entities": entities, "memory": memory}}


def _wait_for_claims(worker: Worker, partitions: int) -> None:
    while metrics_of(worker).total("viewledger_claims_total") < partitions:
        time.sleep(0.1)


def _copy_champion(settings: Settings) -> Pin:
    assert settings.models is not None
    shutil.copytree(REGISTRY / "champion", settings.models / _NAME, dirs_exist_ok=True)
    path = settings.models / _NAME / "card.json"
    card = msgspec.json.decode(path.read_bytes(), type=Card)
    card = msgspec.structs.replace(card, name=_NAME, version=_NAME)
    path.write_bytes(msgspec.json.encode(card))
    return Pin(_NAME, load_model(_NAME, settings.models).sha256)
