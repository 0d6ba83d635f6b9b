"""The error that ends a command with a sentence instead of a traceback."""

import re
from collections.abc import Iterator
from contextlib import contextmanager


class Problem(Exception):  # noqa: N818 - it is what the user has, and reads as such
    """What was wrong, with what value, and what to do."""


@contextmanager
def service_problems() -> Iterator[None]:
    """Turns what a service says when it refuses or does not answer into a `Problem`."""
    import psycopg
    from clickhouse_connect.driver.exceptions import Error
    from confluent_kafka import KafkaException

    try:
        yield
    except Error as error:
        raise Problem(f"ClickHouse: {_in_one_line(str(error))}") from None
    except KafkaException as error:
        raise Problem(f"Kafka: {error.args[0].str()}") from None
    except psycopg.Error as error:
        raise Problem(f"Postgres: {' '.join(str(error).split())}") from None


def _in_one_line(said: str) -> str:
    """What ClickHouse says, without the address and the version around it."""
    found = re.search(r"DB::Exception: (.*?)(?: \(version [^)]*\).*)?$", said, re.DOTALL)
    return " ".join((found.group(1) if found else said).split())
