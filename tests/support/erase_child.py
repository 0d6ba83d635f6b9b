"""`viewledger erase` in a process that kills itself at its n-th step towards a service."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from clickhouse_connect.driver.httpclient import HttpClient
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from pipeline.cli.main import main
from pipeline.erase import messages


def run(words: list[str], env: dict[str, str], said: Path, die_at: int) -> None:
    """The command `words`; `die_at` 0 leaves it alone. What it says goes into a file."""
    with said.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(env)
    if die_at:
        _die_at(die_at)
    sys.argv = ["viewledger", *words]
    main()


def _die_at(number: int) -> None:
    reached = 0

    def reach() -> None:
        nonlocal reached
        reached += 1
        if reached == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            reach()
            result = function(*args, **options)
            reach()
            return result

        return call

    class DyingProducer(Producer):
        produce = around(Producer.produce)

    class DyingAdmin(AdminClient):
        create_topics = around(AdminClient.create_topics)
        delete_topics = around(AdminClient.delete_topics)
        incremental_alter_configs = around(AdminClient.incremental_alter_configs)

    psycopg.Cursor.execute = around(psycopg.Cursor.execute)  # type: ignore[method-assign]
    HttpClient.command = around(HttpClient.command)  # type: ignore[method-assign]
    messages.Producer = DyingProducer  # type: ignore[misc]
    sys.modules["pipeline.erase.topic"].AdminClient = DyingAdmin  # type: ignore[attr-defined]
