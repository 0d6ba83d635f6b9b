"""One URL, as both client libraries want to hear it."""

import ssl

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Consumer

from schemas.kafka_url import _LIBRDKAFKA, KafkaUrl

SASL = (
    "kafka://one:9092,two:9093?security_protocol=SASL_SSL&sasl_mechanism=SCRAM-SHA-512"
    "&sasl_username=viewledger&sasl_password=p%26ss%2Bword"
)


def test_plain() -> None:
    url = KafkaUrl.parse("kafka://localhost:9092")
    assert url == ("localhost:9092", {})
    assert url.for_confluent() == {"bootstrap.servers": "localhost:9092"}
    assert url.for_aiokafka() == {"bootstrap_servers": ["localhost:9092"]}


def test_sasl_over_tls() -> None:
    url = KafkaUrl.parse(SASL)
    assert url.for_confluent() == {
        "bootstrap.servers": "one:9092,two:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "viewledger",
        "sasl.password": "p&ss+word",
    }
    found = url.for_aiokafka()
    assert isinstance(found.pop("ssl_context"), ssl.SSLContext)
    assert found == {
        "bootstrap_servers": ["one:9092", "two:9093"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "viewledger",
        "sasl_plain_password": "p&ss+word",
    }


def test_sasl_without_tls_has_no_context() -> None:
    url = SASL.replace("SASL_SSL", "SASL_PLAINTEXT")
    assert "ssl_context" not in KafkaUrl.parse(url).for_aiokafka()


def test_tls_verifies_the_server() -> None:
    context = KafkaUrl.parse("kafka://one:9093?security_protocol=SSL").ssl_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_the_libraries_know_the_options() -> None:
    Consumer({**KafkaUrl.parse(SASL).for_confluent(), "group.id": "x", "log_level": 0}).close()
    names = AIOKafkaConsumer.__init__.__code__.co_varnames
    assert set(KafkaUrl.parse(SASL).for_aiokafka()) <= set(names)


@pytest.mark.parametrize("option", ["sasl_pasword=x", "bootstrap_servers=x", "acks=0"])
def test_an_unknown_option_is_named_with_those_that_are_known(option: str) -> None:
    name = option.partition("=")[0]
    with pytest.raises(ValueError, match=f"unknown option '{name}'") as error:
        KafkaUrl.parse(f"kafka://one:9092?{option}")
    assert all(known in str(error.value) for known in _LIBRDKAFKA)


def test_a_certificate_that_is_missing_is_an_error_and_not_ignored() -> None:
    url = KafkaUrl.parse("kafka://one:9093?security_protocol=SSL&ssl_cafile=/no/such.pem")
    assert url.for_confluent()["ssl.ca.location"] == "/no/such.pem"
    with pytest.raises(FileNotFoundError):
        url.for_aiokafka()
