import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.reviews import both, stored_views
from support.stores import empty_store
from typer.testing import CliRunner, Result

from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from pipeline.evaluate.labels import view_labels
from schemas.settings import Settings, settings
from schemas.verdicts import Verdict

pytestmark = pytest.mark.services

Run = Callable[..., Result]
VALID, UNQUALIFIED, INVALID, HELD = Verdict
EVENTS = [f"event-0-{n:08}" for n in range(6)]
WHO = ("--by", "rita", "--note", "asked them")


@pytest.fixture
def run(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs `viewledger review …` on six views."""
    store = empty_store(stack, "clickhouse", "postgres")
    with both(store) as (conn, client):
        stored_views(conn, client, [HELD, HELD, VALID, INVALID, UNQUALIFIED, HELD])
    monkeypatch.setenv("VIEWLEDGER_DATA", str(store.data))
    for name in ("postgres", "clickhouse"):
        monkeypatch.setenv(f"VIEWLEDGER_{name.upper()}", store.url(name))  # type: ignore[arg-type]
    settings.cache_clear()
    yield lambda *words: CliRunner().invoke(app, ["review", *map(str, words)])
    settings.cache_clear()


def explained(event_id: str) -> Result:
    return CliRunner().invoke(app, ["explain", event_id])


def test_single_views_from_the_list_to_their_explanation(run: Run) -> None:
    said = run("list").stdout
    assert said.startswith("3 views are held:\n")
    assert "promoter-0" in said
    assert "0.003000 EUR" in said
    assert "No promoter stands out in the last 7 days." in said
    assert "stands out" not in run("list", "--held").stdout
    assert "held" not in run("list", "--promoters").stdout
    assert EVENTS[5] in run("list", "--promoter", "promoter-0").stdout
    assert run("decide", EVENTS[0], EVENTS[2], "--as", "valid", *WHO).stdout == (
        f"{EVENTS[0]}: held became valid\n{EVENTS[2]}: valid, as it was\n"
        "Booked 0.001000 EUR; beyond the budget 0.000000 EUR.\n"
    )
    shown = explained(EVENTS[0]).stdout
    assert shown.startswith(f"Event {EVENTS[0]}: held, by now valid\n")
    assert " UTC by rita (review): asked them\n    its campaign pays 0.001000 EUR\n" in shown
    assert EVENTS[0] not in run("list", "--promoter", "promoter-0").stdout


def test_all_held_views_of_a_promoter(run: Run) -> None:
    words = ("decide", "--promoter", "promoter-0", "--as", "invalid", *WHO)
    assert run(*words).stdout == "3 views: held became invalid\n"
    again = run(*words)
    assert again.exit_code == 0
    assert again.stdout.startswith("No view of promoter-0 is held in this period")
    assert "3 views were decided invalid by rita before" in again.stdout
    later = run(*words, "--campaign", "campaign-0", "--since", "2026-11-01")
    assert "in campaign campaign-0" in later.stdout
    assert "before" not in later.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("list", "--promoter", "promter-0"),
        ("decide", "--promoter", "promter-0", "--as", "valid", *WHO),
        ("decide", "--promoter", "promoter-0", "--campaign", "capmaign-0", "--as", "valid", *WHO),
    ],
)
def test_who_is_mistyped_is_no_empty_queue(run: Run, words: tuple[str, ...]) -> None:
    failed = run(*words)
    assert isinstance(failed.exception, Problem)
    assert re.search(
        r"there is no (promoter 'promter-0'|campaign 'capmaign-0')", str(failed.exception)
    )


def test_what_was_decided_stays(run: Run) -> None:
    run("decide", EVENTS[2], "--as", "invalid", *WHO)
    same = run("decide", EVENTS[2], "--as", "invalid", "--by", "bob", "--note", "me too")
    assert (same.exit_code, "nothing to do: decided invalid by rita" in same.stdout) == (0, True)
    other = run("decide", EVENTS[2], EVENTS[3], "none", "--as", "valid", *WHO)
    assert other.exit_code == 1
    assert f"{EVENTS[2]}: NOT CHANGED, it was decided invalid by rita on " in other.stdout
    assert f"{EVENTS[3]}: invalid became valid" in other.stdout
    assert "none: there is no such view in ClickHouse" in other.stderr


def test_money_that_goes_back(run: Run) -> None:
    said = run("decide", EVENTS[2], "--as", "invalid", *WHO).stdout
    assert "Taken back 0.001000 EUR; of promoters' money 0.001000 EUR was in its hold" in said
    assert "    its campaign gets 0.001000 EUR back\n" in explained(EVENTS[2]).stdout


def test_json(run: Run) -> None:
    listed = json.loads(run("list", "--json").stdout)
    assert [(one["views"], one["micros"]) for one in listed["held"]] == [(3, 3000)]
    assert listed["promoters"] == []
    found = json.loads(run("decide", EVENTS[0], "--as", "valid", *WHO, "--json").stdout)
    (one,) = found["decisions"]
    assert (one["outcome"], one["was"], one["became"]) == ("corrected", "held", "valid")
    assert found["money"][0]["booked"] == 1000


def test_labels_are_read_by_evaluation(run: Run, tmp_path: Path) -> None:
    run("decide", EVENTS[0], EVENTS[4], "--as", "valid", *WHO)
    run("decide", EVENTS[2], EVENTS[3], "--as", "invalid", *WHO)
    printed = run("labels").stdout
    assert printed.splitlines() == [
        "event_id,label,kind",
        f"{EVENTS[0]},human,held-valid",
        f"{EVENTS[2]},bot,valid-invalid",
        f"{EVENTS[3]},bot,invalid-invalid",
        f"{EVENTS[4]},human,unqualified-unqualified",
    ]
    out = tmp_path / "labels.csv"
    assert run("labels", "--out", out).stdout == f"4 labels in {out}.\n"
    assert out.read_text() == printed
    made_by = view_labels([out])
    assert made_by == {
        EVENTS[0]: "human",
        EVENTS[2]: "bot",
        EVENTS[3]: "bot",
        EVENTS[4]: "human",
    }


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("decide", "--as", "valid", *WHO), "decide either views by event id, or"),
        (("decide", "e", "--promoter", "p", "--as", "valid", *WHO), "decide either views by"),
        (("decide", "e", "--campaign", "c", "--as", "valid", *WHO), "go with --promoter"),
        (("decide", "e", "--as", "valid", "--by", " ", "--note", "n"), "--by is ' '"),
        (("labels", "--out", "/no/such/folder/file"), "cannot be written"),
    ],
)
def test_what_cannot_be_says_so(run: Run, words: tuple[str, ...], why: str) -> None:
    result = run(*words)
    assert isinstance(result.exception, Problem), result.output
    assert why in str(result.exception)


def test_who_and_why_are_asked_for(run: Run) -> None:
    assert run("decide", EVENTS[0], "--as", "valid", "--by", "rita").exit_code == 2
    assert run("decide", EVENTS[0], "--as", "held", *WHO).exit_code == 2
