import json
from collections.abc import Callable, Iterator

import pytest
from support.ledger import name
from support.payees import key
from support.payouts import PAYER, TODAY, earn, new_campaign, new_promoter
from support.stores import catch_up, empty_store
from typer.testing import CliRunner, Result

from pipeline.cli.main import app
from schemas.seal_keys import parse_keys
from schemas.settings import Settings, settings
from sinks.payouts.approve import approve
from sinks.payouts.draft import draft
from sinks.payouts.export import export
from sinks.postgres import connect
from sinks.settle import settle

pytestmark = pytest.mark.services

Run = Callable[..., Result]
KEY = key()


@pytest.fixture(scope="module")
def drained(stack: Settings) -> Settings:
    """A store and a ledger without views, at the end of views.raw."""
    found = empty_store(stack, "clickhouse", "postgres")
    catch_up(found, "store", "book")
    return found


@pytest.fixture
def run(drained: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs `viewledger reconcile …` on them."""
    monkeypatch.setenv("VIEWLEDGER_DATA", str(drained.data))
    monkeypatch.setenv("VIEWLEDGER_POSTGRES", drained.url("postgres"))
    monkeypatch.setenv("VIEWLEDGER_CLICKHOUSE", drained.url("clickhouse"))
    monkeypatch.setenv("COLUMNS", "200")
    settings.cache_clear()
    yield lambda *words: CliRunner().invoke(app, ["reconcile", *words])
    settings.cache_clear()


def test_all_three_are_shown(run: Run, drained: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = run()
    assert empty.exit_code == 0, empty.output
    assert "reconciled to zero" in empty.stdout

    keys = parse_keys(KEY)
    with connect(drained) as conn:
        earn(conn, new_campaign(conn), new_promoter(conn, keys), 5000)
        settle(conn)
        batch = draft(conn, "EUR", None, 0, actor="anna", key=name()).batch
        assert batch is not None
        approve(conn, batch.batch_id, actor="ben")
        export(conn, keys, PAYER, batch.batch_id, "pain.001.001.09", TODAY, actor="anna")

    blind = run()
    assert blind.exit_code == 1  # views are paid that are not in ClickHouse
    assert "1 of 1 bank files were not read" in blind.stdout
    monkeypatch.setenv("VIEWLEDGER_PAYEE_KEYS", KEY)
    settings.cache_clear()
    report = json.loads(run("--json").stdout)
    assert (report["ok"], report["state"]) == (False, "differs")
    assert {one["check"] for one in report["differences"]} == {
        "what was read is in views.raw",
        "valid views in ClickHouse = paid + capped in the ledger",
    }
    assert report["books"]["EUR"]["clearing_micros"] == 5_000_000
    assert report["payouts"]["EUR"]["waiting_lines"] == 1
    assert report["files"] == {"files": 1, "read": 1, "transfers": 1, "micros": {"EUR": 5_000_000}}
    lines = [line.split() for line in run().stdout.splitlines()]
    assert ["on", "the", "way", "to", "the", "bank", "5.000000", "EUR"] in lines
    assert ["in", "the", "bank", "files", "5.000000", "EUR"] in lines
