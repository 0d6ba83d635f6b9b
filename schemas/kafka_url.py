"""A Kafka URL, as each client library wants to hear it."""

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit


class KafkaUrl(NamedTuple):
    """`kafka://host:port,host:port?option=value`; options in aiokafka's names."""

    servers: str
    options: dict[str, str]

    @classmethod
    def parse(cls, url: str) -> "KafkaUrl":
        """Reads a URL.

        Raises:
            ValueError: no server, or an option that is not known; holds no value of an option.
        """
        parts = urlsplit(url)
        if not parts.netloc:
            raise ValueError("no server in VIEWLEDGER_KAFKA; kafka://host:port is the least")
        try:
            options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        except ValueError:
            # What it says repeats the text, which may be a part of a password.
            raise ValueError(
                "an option without a value in VIEWLEDGER_KAFKA; write & in a value as %26"
            ) from None
        unknown = set(options) - set(_LIBRDKAFKA)
        if unknown:
            raise ValueError(
                f"unknown option {sorted(unknown)[0]!r} in VIEWLEDGER_KAFKA; "
                f"known: {', '.join(_LIBRDKAFKA)}"
            )
        return cls(parts.netloc, options)

    def for_confluent(self) -> dict[str, Any]:
        """Configuration of a confluent-kafka client."""
        config: dict[str, Any] = {"bootstrap.servers": self.servers}
        for name, value in self.options.items():
            config[_LIBRDKAFKA[name]] = value
        return config

    def for_aiokafka(self) -> dict[str, Any]:
        """Keyword arguments of an aiokafka client."""
        config: dict[str, Any] = {"bootstrap_servers": self.servers.split(",")}
        renamed = {"sasl_username": "sasl_plain_username", "sasl_password": "sasl_plain_password"}
        for name, value in self.options.items():
            if not name.startswith("ssl_"):
                config[renamed.get(name, name)] = value
        if "SSL" in self.options.get("security_protocol", ""):
            config["ssl_context"] = self.ssl_context()
        return config

    def ssl_context(self) -> Any:
        """The TLS context that the `ssl_*` options describe."""
        from aiokafka.helpers import create_ssl_context

        return create_ssl_context(
            cafile=self.options.get("ssl_cafile"),
            certfile=self.options.get("ssl_certfile"),
            keyfile=self.options.get("ssl_keyfile"),
            password=self.options.get("ssl_password"),
        )


_LIBRDKAFKA = {
    "security_protocol": "security.protocol",
    "sasl_mechanism": "sasl.mechanism",
    "sasl_username": "sasl.username",
    "sasl_password": "sasl.password",
    "ssl_cafile": "ssl.ca.location",
    "ssl_certfile": "ssl.certificate.location",
    "ssl_keyfile": "ssl.key.location",
    "ssl_password": "ssl.key.password",
}
