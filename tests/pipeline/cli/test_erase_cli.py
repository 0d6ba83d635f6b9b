"""`viewledger erase`, as typed: what it says, and how it ends."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.blocks import START, block
from support.stores import catch_up, empty_store
from typer.testing import CliRunner, Result

from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from pipeline.erase import viewer as erasing
from schemas.erased import PERSONAL
from schemas.fencing import Stamp
from schemas.settings import Settings, settings
from sinks import erasures, postgres
from sinks.clickhouse import connect
from sinks.store import insert_block

pytestmark = pytest.mark.services

Run = Callable[..., Result]
PARTITION = 100
MADE = block(0, 500, partition=PARTITION, refused=[1, 2])
VIEWERS: list[str] = sorted(set(MADE.accepted["viewer_id"].to_pylist()))


@pytest.fixture(scope="module")
def store(stack: Settings) -> Settings:
    """A partition that does not exist in Kafka; all others stand where Kafka does."""
    found = empty_store(stack, "clickhouse", "postgres")
    with connect(found.url("clickhouse")) as client:
        insert_block(client, PARTITION, 1, START, Stamp("block", "w", 1, 0, 500), MADE)
    return found


@pytest.fixture
def run(store: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr(erasing, "KNOWN_AFTER_S", 0.0)
    for name in ("clickhouse", "postgres"):
        monkeypatch.setenv(f"VIEWLEDGER_{name.upper()}", store.url(name))  # type: ignore[arg-type]
    monkeypatch.setenv("VIEWLEDGER_DATA", str(store.data))
    settings.cache_clear()
    catch_up(store, "store", "book")
    yield lambda *words: CliRunner().invoke(app, ["erase", *words])
    settings.cache_clear()


def report(done: Result) -> dict[str, Any]:
    (found,) = json.loads(done.stdout)
    assert done.exit_code == (3 if found["state"] == "pending" else 0)
    return found  # type: ignore[no-any-return]


def rows(store: Settings, viewer: str) -> int:
    with connect(store.url("clickhouse")) as client:
        query = f"SELECT count() FROM views WHERE viewer_id = '{viewer}'"
        return int(client.query(query).result_rows[0][0])


def personal(store: Settings) -> int:
    """Rows of erased viewers that say something about them."""
    said = " OR ".join(f"{name} IS NOT NULL" for name in PERSONAL if name != "features")
    said += " OR notEmpty(features)"
    with connect(store.url("clickhouse")) as client:
        query = f"SELECT countIf({said}) FROM views WHERE viewer_id LIKE 'erased-%'"
        return int(client.query(query).result_rows[0][0])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "one of --viewer ID, --resume and --logs"),
        (["--resume", "--logs"], "one of --viewer ID, --resume and --logs"),
        (["--viewer", "seven77"], "has 8 to 64 characters, this one has 7"),
        (["--viewer", "x" * 65], "this one has 65"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, words: list[str], why: str) -> None:
    done = run(*words)
    assert isinstance(done.exception, Problem)
    assert why in str(done.exception)


def test_a_viewer_who_is_unknown_is_complete_at_once(run: Run, store: Settings) -> None:
    found = report(run("--viewer", "nobody-at-all", "--json"))
    assert (found["state"], found["views"], found["pending"]) == ("complete", 0, [])
    with postgres.connect(store) as conn:
        assert erasures.load_erased(conn).pseudonym_of(b"nobody-at-all")


def test_a_viewer_is_unlinked_and_queued_for_the_logs(run: Run, store: Settings) -> None:
    mine = rows(store, VIEWERS[0])
    assert mine >= 1
    for _ in range(2):  # once more does no harm
        found = report(run("--viewer", VIEWERS[0], "--by", "ticket 1", "--json"))
        assert (found["state"], found["views"]) == ("pending", mine)
        assert found["requested_by"] == "ticket 1"
        assert ["--logs" in text for text in found["pending"]] == [True]
        assert rows(store, VIEWERS[0]) == 0
        assert personal(store) == 0
    said = run("--resume")
    assert said.exit_code == 3
    assert "views.scored" in said.stdout
    assert VIEWERS[0] not in said.stdout


def test_what_is_on_its_way_is_waited_for(
    run: Run, store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "topic_ranges", lambda *_: {PARTITION: (0, 900)})
    found = report(run("--viewer", VIEWERS[1], "--wait", "0", "--json"))
    assert "at 500 in partition 100 and has to pass 900" in found["pending"][0]
    assert rows(store, VIEWERS[1]) == 0, "what is there is gone at once"
    monkeypatch.undo()
    monkeypatch.setattr(erasing, "topic_ranges", lambda *_: pytest.fail("the ends are noted"))
    settings.cache_clear()
    with connect(store.url("clickhouse")) as client:
        stamp = Stamp("block", "w", 1, 500, 900)
        late = block(500, 400, partition=PARTITION)
        at = late.accepted.schema.get_field_index("viewer_id")
        named = [VIEWERS[1], *late.accepted["viewer_id"].to_pylist()[1:]]
        field = late.accepted.schema.field(at)
        accepted = late.accepted.set_column(at, field, [named])
        insert_block(client, PARTITION, 2, START, stamp, late._replace(accepted=accepted))
    assert rows(store, VIEWERS[1]) == 1
    with pytest.MonkeyPatch.context() as patch:
        for name in ("clickhouse", "postgres"):
            patch.setenv(f"VIEWLEDGER_{name.upper()}", store.url(name))  # type: ignore[arg-type]
        patch.setenv("VIEWLEDGER_DATA", str(store.data))
        run("--resume", "--wait", "0")
    assert rows(store, VIEWERS[1]) == 0


def test_two_at_once_are_one_too_many(run: Run, store: Settings) -> None:
    with erasing.only_one(store):
        done = run("--resume")
    assert "another `viewledger erase` is running" in str(done.exception)
