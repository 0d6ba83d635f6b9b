"""`score`: views.raw → views.scored."""

import asyncio
from functools import partial

import faust

from models.engine.shared import RedisShared
from models.judge import Judge
from models.lists_in_use import ListsInUse
from pipeline.apps.common import feed_from, new_app
from pipeline.feeds import Feeds
from pipeline.score.admit import Clock
from pipeline.score.catalogue import CatalogueCache
from pipeline.score.partition import Scorer, score_partition
from pipeline.score.steps import Tools
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW

_FETCH_BYTES = 512 * 1024


def build(settings: Settings, instance: str) -> tuple[faust.App, Feeds]:
    """The app and its partitions."""
    app = new_app(settings, "score", instance, records=settings.block_rows)
    # Many small fetches would take the processor from everything else.
    app.transport.fetch_min_bytes = _FETCH_BYTES
    app.transport.fetch_max_wait_ms = settings.linger_ms // 2
    tools = Tools(
        CatalogueCache(settings.url("postgres")),
        Judge(settings.model, settings.models, ListsInUse.of_settings(settings)),
        RedisShared(settings.url("redis"), settings.redis_timeout_ms),
        Clock(settings.accept_window_hours * 3_600_000, settings.future_minutes * 60_000),
        asyncio.Lock(),
    )
    scorer = Scorer(settings, KafkaUrl.parse(settings.url("kafka")), tools)
    feeds = Feeds(app, RAW, partial(score_partition, scorer))
    feed_from(app, RAW, feeds)
    return app, feeds
