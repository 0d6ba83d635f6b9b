"""Every setting of viewledger, read from `VIEWLEDGER_*` and checked at start."""

import functools
import json
import sys
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from typing import Literal, NoReturn

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.kafka_url import KafkaUrl
from schemas.redis_url import RedisUrl
from schemas.seal_keys import parse_keys

Service = Literal["kafka", "clickhouse", "postgres", "redis"]
SERVICES: tuple[Service, ...] = ("kafka", "clickhouse", "postgres", "redis")


class Settings(BaseSettings):
    """What can be set. A service without a URL is the embedded one of the data folder."""

    model_config = SettingsConfigDict(
        env_prefix="VIEWLEDGER_", frozen=True, hide_input_in_errors=True
    )

    data: Path = Field(Path(".viewledger"), description="data folder of the embedded services")
    kafka: str | None = Field(
        None,
        pattern="^kafka://",
        description="kafka://host:port,host:port?security_protocol=SASL_SSL&sasl_mechanism=PLAIN"
        "&sasl_username=…&sasl_password=…&ssl_cafile=…",
    )
    clickhouse: str | None = Field(
        None,
        pattern="^https?://",
        description="http(s)://user:password@host:port/database?ca_cert=…&verify=…",
    )
    postgres: str | None = Field(
        None,
        pattern="^postgres(ql)?://",
        description="postgresql://user:password@host:port/database?sslmode=…",
    )
    redis: str | None = Field(
        None,
        pattern=r"^rediss?(\+sentinel|\+cluster)?://",
        description="redis(s)://user:password@host:port/0,"
        " redis(s)+sentinel://user:password@host:port,host:port/name/0 or"
        " redis(s)+cluster://user:password@host:port,host:port",
    )

    partitions: int = Field(4, ge=1, le=1024, description="of every topic; fixed once created")
    replication: int = Field(1, ge=1, le=9, description="copies of every topic")
    accept_window_hours: int = Field(24, ge=1, le=24 * 7, description="how late a view may come")
    future_minutes: int = Field(5, ge=0, le=60, description="how far ahead a clock may be")
    window_slack_minutes: int = Field(
        60, ge=1, le=24 * 60, description="how much two retries of one event may disagree on time"
    )
    block_rows: int = Field(8192, ge=1, le=32768, description="about how many events make a block")
    linger_ms: int = Field(200, ge=0, le=5000, description="how long a small block waits for more")
    snapshot_seconds: float = Field(30.0, gt=0, description="between two snapshots of the state")
    redis_timeout_ms: int = Field(1000, ge=1, description="after which Redis counts as down")
    stall_seconds: float = Field(
        60.0, gt=0, description="without progress while there is work, after which a worker exits"
    )
    seal_seconds: float = Field(
        60.0, gt=0, description="between two turns in which `book` adds to the hash chain"
    )
    model: str = Field(
        "champion", description="name of the model that judges where none was promoted"
    )
    models: Path | None = Field(
        None, description="folder of own models, each in a folder of its name; docs/registry.md"
    )
    settlement_look_ahead_minutes: int = Field(
        60, ge=10, le=24 * 60, description="what `settle` sees of what came in after a view"
    )
    payer: Path | None = Field(None, description="JSON file that says who pays; docs/finance.md")
    postgres_connections: int = Field(
        4, ge=1, le=1024, description="most connections to Postgres of one `book` worker"
    )
    workers: int = Field(1, ge=1, le=64, description="processes of `score` that `up` starts")
    metrics_host: str = Field("127.0.0.1", description="where a worker serves /metrics, /health")
    metrics_port: int = Field(0, ge=0, le=65535, description="0 picks a free one")
    collectors: int = Field(1, ge=0, le=16, description="collectors that `up` starts")
    collector_host: IPv4Address | IPv6Address = Field(
        IPv4Address("127.0.0.1"), description="address that the collector listens on"
    )
    collector_port: int = Field(
        0, ge=0, le=65535, description="of the first collector; 0 picks a free one and keeps it"
    )
    collector_id: str = Field(
        "collector", pattern=r"^[A-Za-z0-9._-]{1,48}$", description="stamped on every event"
    )
    collector_memory_mb: int = Field(
        64, ge=8, le=4096, description="of events under way, beyond which the collector says 503"
    )
    collector_timeout_s: float = Field(
        10.0,
        gt=0,
        le=120,
        description="for headers and body to come in, each, and then for Kafka to acknowledge",
    )
    collector_keys: SecretStr | None = Field(
        None,
        description="id:base64,id:base64; the first seals signing secrets, all open them;"
        " unset: one is made and kept in the data folder",
    )
    key_events_per_minute: int = Field(
        6_000_000, ge=1, description="that one API key may send where it has no quota of its own"
    )
    address_events_per_minute: int = Field(
        6_000, ge=1, description="that one client address may send with a publishable key"
    )
    viewer_events_per_minute: int = Field(
        600, ge=1, description="that one collector takes of one viewer with a publishable key"
    )
    trusted_proxies: str = Field(
        "", description="networks, comma-separated, of proxies that say who the client is"
    )
    proxy_header: Literal["x-forwarded-for", "forwarded"] = Field(
        "x-forwarded-for", description="which of the two the trusted proxies write"
    )
    datacenter_list: Path | None = Field(
        None, description="file of data centres, a CIDR range per line; docs/judging.md"
    )
    ipcat: bool = Field(True, description="whether the ranges of ipcat are data centres, too")
    crawler_list: Path | None = Field(
        None,
        description="file of declared bots, a regular expression for user agents per line;"
        " docs/judging.md",
    )
    vpn_list: Path | None = Field(
        None, description="file of VPN exits, a CIDR range per line; docs/privacy.md"
    )
    tor_list: Path | None = Field(
        None, description="file of Tor exits, a CIDR range per line; docs/privacy.md"
    )
    address_storage: Literal["hashed", "raw"] = Field(
        "hashed", description="whether an event keeps keyed hashes of its address, or it itself"
    )
    do_not_track: Literal["ignore", "strip", "drop"] = Field(
        "strip", description="what DNT: 1 or Sec-GPC: 1 does to an event; docs/privacy.md"
    )
    no_consent: Literal["ignore", "strip", "drop"] = Field(
        "strip", description='what "consent": "denied" does to an event; docs/privacy.md'
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level of what is logged"
    )
    payee_keys: SecretStr | None = Field(
        None,
        description="id:base64,id:base64; the first seals bank details, all open them;"
        " `viewledger payees new-key` makes one",
    )

    @field_validator("payee_keys", "collector_keys")
    @classmethod
    def _check_keys(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None:
            parse_keys(keys.get_secret_value())
        return keys

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, networks: str) -> str:
        for text in filter(None, (part.strip() for part in networks.split(","))):
            ip_network(text)
        return networks

    @field_validator("kafka")
    @classmethod
    def _check_kafka(cls, url: str | None) -> str | None:
        if url is not None:
            KafkaUrl.parse(url)
        return url

    @field_validator("redis")
    @classmethod
    def _check_redis(cls, url: str | None) -> str | None:
        if url is not None:
            RedisUrl.parse(url)
        return url

    @property
    def repeat_reach(self) -> timedelta:
        """Log time, on either side of a view, within which others of the same day can come in."""
        return timedelta(hours=self.accept_window_hours + 25)  # the day, late, and clocks ahead

    @property
    def endpoints_file(self) -> Path:
        """Where `viewledger up` writes the URLs of the embedded services."""
        return self.data / "endpoints.json"

    def url(self, service: Service) -> str:
        """The URL of a service: the variable if set, else the embedded one.

        Raises:
            NotRunningError: neither.
        """
        configured: str | None = getattr(self, service)
        if configured is not None:
            return configured
        try:
            found: str = json.loads(self.endpoints_file.read_text())[service]
        except (FileNotFoundError, KeyError):
            raise NotRunningError(
                f"no {service} for {str(self.data)!r}: run `viewledger up`, "
                f"or set VIEWLEDGER_{service.upper()}"
            ) from None
        return found


class NotRunningError(Exception):
    """A service has neither a URL nor an embedded server."""


@functools.cache
def settings() -> Settings:
    """The settings of this process.

    Ends the process with status 2 and a line per wrong variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        _refuse(error)


def _refuse(error: ValidationError) -> NoReturn:
    for problem in error.errors(include_url=False):
        name = "VIEWLEDGER_" + "_".join(str(part) for part in problem["loc"]).upper()
        wants = Settings.model_fields[str(problem["loc"][0])].description
        # The value may hold a password, so it is not repeated.
        sys.stderr.write(f"{name}: {problem['msg']} ({wants})\n")
    sys.exit(2)
