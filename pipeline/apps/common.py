"""How every Faust app of viewledger is set up."""

import socket
from typing import Any

import faust
from faust.types.auth import CredentialsT

from pipeline.feeds import Feeds
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings

SESSION_TIMEOUT_S = 10.0
METADATA_MAX_AGE_MS = 10_000


def new_app(settings: Settings, kind: str, instance: str, *, records: int) -> faust.App:
    """A Faust app on the batched transport.

    Args:
        kind: `score`, `store` or `book`; names the consumer group `viewledger-<kind>`.
        instance: name of this process; a static group member, so that a restart after kill -9
            does not wait for the session timeout. With another number of partitions it is
            another member: Kafka hands a static member what it had before, and nothing new.
        records: most records in one chunk.
    """
    kafka = KafkaUrl.parse(settings.url("kafka"))
    return faust.App(
        f"viewledger-{kind}",
        broker=";".join(f"batched://{server}" for server in kafka.servers.split(",")),
        broker_credentials=_credentials(kafka),
        store="memory://",
        datadir=str(settings.data.absolute() / "run" / f"faust-{kind}"),  # else where it started
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_group_instance_id=(
            f"viewledger-{instance}-of-{settings.partitions}@{socket.gethostname()}"
        ),
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=2.0,
        broker_request_timeout=40.0,
        broker_max_poll_records=records,
        # The default of one minute between polls does not survive a long restore.
        broker_max_poll_interval=3600.0,
        # A broker that has just been killed may not know its topics yet; who joins then is given
        # no partitions, and asks again only when the metadata change.
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        consumer_max_fetch_size=4 * 1024 * 1024,
        consumer_auto_offset_reset="earliest",
        # Chunks, not events: a few are enough to keep a partition busy.
        stream_buffer_maxsize=4,
        stream_wait_empty=False,
        stream_processing_timeout=3600.0,
        broker_commit_livelock_soft_timeout=3600.0,
    )


def feed_from(app: faust.App, topic: str, feeds: Feeds) -> None:
    """The agent: hands every chunk of `topic` to its partition. Positions are not Faust's."""
    channel = app.topic(topic, acks=False, key_serializer="raw", value_serializer="raw")

    @app.agent(channel, name="feed")  # type: ignore[untyped-decorator]
    async def feed(chunks: Any) -> None:
        async for chunk in chunks:
            feeds.put(chunk)


def _credentials(kafka: KafkaUrl) -> CredentialsT | None:
    options = kafka.options
    protocol = options.get("security_protocol", "PLAINTEXT")
    tls = kafka.ssl_context() if "SSL" in protocol.removeprefix("SASL_") else None
    if protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=options.get("sasl_username"),
            password=options.get("sasl_password"),
            mechanism=options.get("sasl_mechanism", "PLAIN"),
            ssl_context=tls,
        )
    return faust.SSLCredentials(tls) if tls is not None else None
