"""What is logged is JSON, and never holds an address or a secret."""

import json
import logging
from collections.abc import Iterator
from threading import Thread

import pytest
import structlog

from schemas.logs import configure_logs, logs_for_people


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    before = structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_addresses_and_secrets_are_censored(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "score-0")
    secrets = {"ip": "203.0.113.7", "user_agent": "Mozilla", "password": "hunter2"}
    secrets |= {"url": "redis://:hunter2@host", "value": "{}"}
    secrets |= dict.fromkeys(("address", "peer", "client", "forwarded"), "203.0.113.7")
    secrets |= {"ip_hash": "00112233445566aa", "salt": "hunter2", "headers": "X-Forwarded-For"}
    structlog.get_logger().warning("refused", partition=3, **secrets)
    (line,) = lines(capsys)
    assert {name: line[name] for name in secrets} == dict.fromkeys(secrets, "[not logged]")
    assert (line["event"], line["partition"], line["level"]) == ("refused", 3, "warning")
    assert line["worker"] == "score-0"
    assert line["timestamp"].endswith("Z")


def test_the_standard_library_logs_in_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "book")
    say = Thread(target=logging.getLogger("some.library").error, args=("it said %s", "no"))
    say.start()
    say.join()
    (line,) = lines(capsys)
    assert (line["event"], line["logger"], line["worker"]) == ("it said no", "some.library", "book")


def test_a_traceback_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "store")
    try:
        raise ValueError("three\nlines\nlong")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(capsys)
    assert "ValueError: three" in line["exception"]


def test_the_level_holds_for_both(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("warning", "store")
    structlog.get_logger().info("not said")
    logging.getLogger("some.library").info("not said")
    logging.getLogger("aiokafka").info("not said")
    assert lines(capsys) == []


def test_a_command_says_on_standard_error_what_is_wrong_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs_for_people()
    structlog.get_logger().info("read a list")
    structlog.get_logger().warning("a list is broken", list="tor", ip="203.0.113.7")
    out, err = capsys.readouterr()
    assert out == ""
    assert "a list is broken" in err
    assert "read a list" not in err
    assert "203.0.113.7" not in err
