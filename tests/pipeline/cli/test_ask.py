"""`query`, `rejected`, `drain` and `reconcile`, as typed."""

import json
from collections.abc import Callable, Iterator

import pytest
from support.blocks import START, block
from support.stores import catch_up, empty_store
from typer.testing import CliRunner, Result

from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from pipeline.offsets import topic_ranges
from schemas.fencing import Stamp
from schemas.settings import Settings, settings
from schemas.topics import RAW
from sinks.clickhouse import connect
from sinks.store import insert_block

pytestmark = pytest.mark.services

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def store(stack: Settings) -> Settings:
    """Two partitions that do not exist in Kafka, with refused events."""
    found = empty_store(stack, "clickhouse", "postgres")
    with connect(found.url("clickhouse")) as client:
        for partition in (100, 101):
            stamp = Stamp("block", "w", 1, 0, 50)
            made = block(0, 50, partition=partition, refused=[1, 2], duplicates=[3])
            insert_block(client, partition, 1, START, stamp, made)
    return found


@pytest.fixture
def run(store: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("VIEWLEDGER_DATA", str(store.data))
    monkeypatch.setenv("VIEWLEDGER_CLICKHOUSE", store.url("clickhouse"))
    monkeypatch.setenv("VIEWLEDGER_POSTGRES", store.url("postgres"))
    settings.cache_clear()
    yield lambda *words: CliRunner().invoke(app, list(words))
    settings.cache_clear()


def problem(done: Result) -> str:
    assert isinstance(done.exception, Problem), done.output
    return str(done.exception)


def test_query_for_programs(run: Run) -> None:
    asked = (
        "SELECT count() AS n, toUInt64(pow(2, 60)) AS big, max(log_time) AS at, -1.5 AS x,"
        " NULL AS nothing, ['a'] AS list FROM views;"
    )
    assert json.loads(run("query", asked, "--json").stdout) == [
        {
            "n": 94,
            "big": 2**60,
            "at": "2025-10-09 08:53:20.490",
            "x": -1.5,
            "nothing": None,
            "list": ["a"],
        }
    ]
    assert json.loads(run("query", "SELECT 1 WHERE 0", "--json").stdout) == []


def test_query_for_people(run: Run) -> None:
    shown = run("query", "SELECT reason, count() AS events FROM views_rejected GROUP BY ALL").stdout
    assert "not_json" in shown
    assert "2 rows" in shown


def test_query_cuts_nothing_and_knows_no_markup(run: Run) -> None:
    shown = run(
        "query", f"SELECT '{'a' * 200}' AS `[b]id`, '[/red]' AS x, '{'b' * 64}' AS y"
    ).stdout
    for value in ("a" * 200, "[b]id", "[/red]", "b" * 64):
        assert value in shown


def test_bad_sql_is_one_line(run: Run) -> None:
    said = problem(run("query", "SELECT nothing FROM views"))
    assert said.startswith("ClickHouse: Unknown expression identifier `nothing`")
    assert "\n" not in said
    assert "http" not in said
    assert "Syntax error" in problem(run("query", "SELEC 1"))
    assert "no statement" in problem(run("query", " ; "))


def test_query_changes_nothing(run: Run) -> None:
    assert "readonly" in problem(run("query", "TRUNCATE TABLE views"))


def test_rejected_list(run: Run) -> None:
    shown = run("rejected", "list").stdout.split()
    assert shown == ["not_json", "4", "duplicate", "2"]
    listed = json.loads(
        run("rejected", "list", "--reason", "not_json", "--limit", "3", "--json").stdout
    )
    assert listed["counts"] == {"not_json": 4, "duplicate": 2}
    assert [(one["partition"], one["raw_offset"]) for one in listed["examples"]] == [
        (100, 2),
        (101, 2),
        (100, 1),
    ]
    assert "100/2" in run("rejected", "list", "--reason", "not_json").stdout


def test_reasons_are_checked(run: Run) -> None:
    for command in ("list", "replay"):
        said = problem(run("rejected", command, "--reason", "too_lat"))
        assert "'too_lat'" in said
        assert "too_late" in said
    assert "not kept" in problem(run("rejected", "replay", "--reason", "duplicate"))


def test_rejected_replay_counts(run: Run) -> None:
    done = run("rejected", "replay", "--reason", "in_future")
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "0 events sent again.")


def test_reconcile_and_drain(run: Run, store: Settings) -> None:
    """Partitions 100 and 101 are in ClickHouse only; all others are done."""
    if any(end for _, end in topic_ranges(store, RAW).values()):
        report = run("reconcile", "--json")
        assert report.exit_code == 3
        assert json.loads(report.stdout)["state"] == "not_drained"
        assert "store is " in problem(run("drain", "--timeout", "0.01"))
    catch_up(store, "store", "book")
    assert run("drain", "--timeout", "5").exit_code == 0
    report = run("reconcile", "--json")
    found = json.loads(report.stdout)
    assert (report.exit_code, found["ok"], found["state"]) == (1, False, "differs")
    assert found["differences"][0] == {
        "check": "what was read is in views.raw",
        "where": "ClickHouse, partition 100",
        "expected": "0",
        "found": "50",
    }
    shown = run("reconcile")
    assert shown.exit_code == 1
    assert "Differences" in shown.stdout
