"""The embedded ClickHouse does what the store relies on."""

from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from schemas.settings import Settings

pytestmark = pytest.mark.services


@pytest.fixture
def client(stack: Settings) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=stack.url("clickhouse")) as client:
        client.command(
            "CREATE TABLE probe (key UInt8, n UInt64) ENGINE = MergeTree ORDER BY key "
            "SETTINGS non_replicated_deduplication_window = 1000"
        )
        client.command(
            "CREATE MATERIALIZED VIEW probe_sums ENGINE = SummingMergeTree ORDER BY key "
            "SETTINGS non_replicated_deduplication_window = 1000 "
            "AS SELECT key, sum(n) AS total FROM probe GROUP BY key"
        )
        yield client
        client.command("DROP TABLE probe_sums")
        client.command("DROP TABLE probe")


def test_an_insert_repeated_under_its_token_counts_once(client: Client) -> None:
    for token in ("a", "a", "b"):
        client.insert(
            "probe",
            [[1, 5], [2, 7]],
            settings={
                "insert_deduplication_token": token,
                "deduplicate_blocks_in_dependent_materialized_views": 1,
            },
        )
    assert client.query("SELECT count(), sum(n) FROM probe").result_rows == [(4, 24)]
    assert client.query("SELECT sum(total) FROM probe_sums").result_rows == [(24,)]


def test_who_has_no_password_reads_nothing(stack: Settings, client: Client) -> None:
    assert client.command("SELECT count() FROM probe") == 0
    server = stack.url("clickhouse").rpartition("@")[2]
    with (
        clickhouse_connect.get_client(dsn=f"http://default@{server}") as stranger,
        pytest.raises(DatabaseError, match="ACCESS_DENIED"),
    ):
        stranger.command("SELECT count() FROM probe")
