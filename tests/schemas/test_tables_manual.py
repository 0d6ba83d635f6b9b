"""docs/tables.md: its queries run, and no table or column is left out."""

import re
from pathlib import Path

import pytest

from schemas.settings import Settings
from sinks import clickhouse, postgres

pytestmark = pytest.mark.services

MANUAL = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
CLICKHOUSE, _, POSTGRES = MANUAL.partition("\n## The ledger")


def queries(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", MANUAL, re.DOTALL)


@pytest.mark.parametrize("sql", queries("sql"))
def test_a_query_of_clickhouse(sql: str, stack: Settings) -> None:
    clickhouse.connect(stack.url("clickhouse")).query(sql)


@pytest.mark.parametrize("sql", queries("postgresql"))
def test_a_query_of_the_ledger(sql: str, stack: Settings) -> None:
    with postgres.connect(stack) as conn:
        conn.execute(sql.encode())


def test_everything_in_clickhouse_is_explained(stack: Settings) -> None:
    # `word` is what the tests of the services leave there.
    rows = (
        clickhouse.connect(stack.url("clickhouse"))
        .query(
            "SELECT table, name FROM system.columns"
            " WHERE database = currentDatabase() AND table NOT IN ('schema_migrations', 'word')"
        )
        .result_rows
    )
    assert missing(rows, CLICKHOUSE) == set()


def test_everything_in_postgres_is_explained(stack: Settings) -> None:
    with postgres.connect(stack) as conn:
        rows = conn.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name NOT IN ('schema_migrations', 'word')"
            " AND table_name !~ '^entries_[0-9]{4}_[0-9]{2}$'"  # its partitions
        ).fetchall()
    assert missing(rows, POSTGRES) == set()


def missing(rows: object, text: str) -> set[str]:
    assert isinstance(rows, list)
    assert len(rows) > 20
    return {name for row in rows for name in row if f"`{name}`" not in text}
