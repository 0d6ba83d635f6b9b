"""`ledger statement` and `payouts trace`, registered as the groups do it."""

import csv
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from support.ledger import View, after, name, new_partition, table
from support.payees import new_keys, payee
from support.payouts import PAYER, TODAY, new_campaign, new_promoter
from support.provenance import World, new_world
from typer.testing import CliRunner, Result

from pipeline.cli.ledger_statement import statement
from pipeline.cli.payouts_trace import trace
from pipeline.cli.problems import Problem
from schemas.fencing import Progress
from schemas.payout import Answer
from schemas.settings import Settings, settings
from schemas.verdicts import Reason, Verdict
from sinks.book import book
from sinks.correct import correct
from sinks.payees import save_payees, verify_payee
from sinks.payouts.answers import mark
from sinks.payouts.approve import approve
from sinks.payouts.draft import draft
from sinks.payouts.export import export
from sinks.settle import settle

pytestmark = pytest.mark.services
Run = Callable[..., Result]
KEYS = new_keys()
FORMULA = "=cmd|'/c calc'!A0"


@pytest.fixture(scope="module")
def world(stack: Settings) -> Iterator[World]:
    yield from new_world(stack)


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    for service in ("postgres", "clickhouse"):
        monkeypatch.setenv(f"VIEWLEDGER_{service.upper()}", world.settings.url(service))
    settings.cache_clear()
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(statement)
    app.command()(trace)
    yield lambda *words: CliRunner().invoke(app, [str(word) for word in words])
    settings.cache_clear()


@pytest.fixture(scope="module")
def paid(world: World) -> tuple[str, int, list[str]]:
    """A promoter with some of everything, the line that paid, and event ids."""
    campaign, promoter = new_campaign(world.conn, fee_bp=1000), new_promoter(world.conn, KEYS)
    partition, events = world.view(campaign, promoter, 40)
    world.view(campaign, promoter, 3, verdict=Verdict.INVALID, reasons=Reason.MODEL_SCORE.bit)
    correct(world.conn, world.accrual(partition), 5, reason=FORMULA, actor="f", key=name("key"))
    settle(world.conn)
    made = draft(world.conn, "EUR", None, 0, actor="anna", key=name("key")).batch
    assert made is not None
    approve(world.conn, made.batch_id, actor="ben")
    export(world.conn, KEYS, PAYER, made.batch_id, "pain.001.001.09", TODAY, actor="ben")
    line = made.lines[0].line_id
    told = Answer(reference=f"VL{line}", outcome="failed", code="AC04", text="@closed")
    mark(world.conn, line, told, actor="ben")
    return promoter, line, events


def problem(result: Result) -> str:
    assert isinstance(result.exception, Problem), result.output
    return str(result.exception)


def test_a_statement_to_read(run: Run, paid: tuple[str, int, list[str]]) -> None:
    result = run("statement", paid[0], "--from", "2025-10-01")
    assert result.exit_code == 0, result.exception
    text = " ".join(result.stdout.split())
    for said in (
        f"Statement of promoter {paid[0]} (Ada Müller) from 2025-10-01 00:00:00Z until",
        "at the beginning 0.000000 0.000000 0.000000 0.000000",
        "platform fees -0.004000 0.000000",
        "corrections -0.004500 0.000000",
        "payouts given back 0.000000 0.030000 0.000000 -0.030000",
        "at the end 0.000000 0.031500 0.000000 0.000000",
        "invalid model_score 3",
        f"VL{paid[1]} ",
        "failed AC04 @closed",
    ):
        assert said in text


def test_a_statement_to_calculate_with(run: Run, paid: tuple[str, int, list[str]]) -> None:
    result = run("statement", paid[0], "--from", "2025-10-01", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert {row["promoter_id"] for row in rows} == {paid[0]}

    def total(*sections: str) -> int:
        chosen = [row for row in rows if row["section"].startswith(sections)]
        return round(sum(float(row["amount"] or 0) for row in chosen) * 1_000_000)

    assert total("opening") + total("movement: ") == total("closing") == 31_500
    assert total("earned") + total("fee") + total("correction") == 31_500
    assert (total("released"), total("payout given back")) == (31_500, 30_000)
    unpaid = [row for row in rows if row["section"] == "not paid"]
    assert [(row["detail"], row["views"]) for row in unpaid] == [("invalid model_score", "3")]
    texts = [row[column] for row in rows for column in ("section", "at", "reference", "detail")]
    assert any(FORMULA in text for text in texts)
    assert not [text for text in texts if text.startswith(("=", "+", "-", "@"))]


def test_a_formula_at_the_beginning_is_defused(run: Run, world: World) -> None:
    mine = new_campaign(world.conn, campaign_id=f"=1+1-{name()}")
    promoter = new_promoter(world.conn, KEYS)
    world.view(mine, promoter, 1)
    text = run("statement", promoter, "--format", "csv").stdout
    assert f"earned,,'{mine}," in text


def test_a_statement_for_programs(run: Run, paid: tuple[str, int, list[str]]) -> None:
    words = ("statement", paid[0], "--from", "2025-10-01T02:00+02:00", "--format", "json")
    made = json.loads(run(*words).stdout)
    assert made["from"] == "2025-10-01T00:00:00Z"
    (part,) = made["currencies"]
    assert part["closing"] == {"pending": 0, "payable": 31_500, "debt": 0, "in_transit": 0}
    assert part["corrections"][0]["reason"] == FORMULA


def test_a_statement_to_send(run: Run, world: World, tmp_path: Path) -> None:
    """Letters that the fonts of PDF do not have are replaced; the file is for its owner only."""
    mine = payee(legal_name="Łódź 株式会社 Ünal")
    promoter = new_promoter(world.conn, KEYS, promoter_id=mine.promoter_id)
    save_payees(world.conn, KEYS, [mine], actor="paula")
    verify_payee(world.conn, promoter, actor="vera")
    campaign = new_campaign(world.conn)
    views = [View(campaign, promoter, rate_micros=rate) for rate in range(1, 61)]
    book(world.conn, new_partition(), Progress(), after(Progress()), [table(views)])
    out = tmp_path / "statement.pdf"
    words = ("statement", promoter, "--to", "2030-01-01", "--format", "pdf", "--out", out)
    result = run(*words)
    assert result.exit_code == 0, result.exception
    content = out.read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert content.count(b"/Type /Page\n") > 1
    assert b"0.000059" in inflated(content)
    assert out.stat().st_mode & 0o777 == 0o600
    run(*words)
    assert out.read_bytes() == content


def inflated(pdf: bytes) -> bytes:
    """What is drawn on all pages."""
    streams = re.findall(rb"FlateDecode.*?stream\n(.*?)\nendstream", pdf, re.DOTALL)
    return b"".join(map(zlib.decompress, streams))


def test_what_cannot_be_stated(run: Run, paid: tuple[str, int, list[str]], tmp_path: Path) -> None:
    assert "there is no promoter 'x'" in problem(run("statement", "x"))
    assert "--from is 'soon'" in problem(run("statement", paid[0], "--from", "soon"))
    assert "is empty" in problem(run("statement", paid[0], "--to", "2020-01-01"))
    assert "--out FILE" in problem(run("statement", paid[0], "--format", "pdf"))
    nowhere = tmp_path / "no" / "where"
    assert "No such file" in problem(run("statement", paid[0], "--out", nowhere))


def test_a_trace_down_and_up(run: Run, paid: tuple[str, int, list[str]]) -> None:
    promoter, line, events = paid
    result = run("trace", line, "--events", 2)
    assert result.exit_code == 0, result.exception
    assert result.stdout.endswith("Everything sums up, to the micro.\n")
    for said in (
        f"Line {line} (VL{line}) of batch",
        f"{promoter} gets 0.030000 EUR of 0.030000 EUR",
        "40 views x 0.001000 - fee 0.004000 - 5 corrected views 0.004500",
        "40 paid, 40 in ClickHouse",
        f"event {events[1]}  raw offset 1, block 1, model m1, policy p1",
        "0.001500  stayed payable",
    ):
        assert said in result.stdout
    assert events[2] not in result.stdout
    made = json.loads(run("trace", line, "--json", "--events", 100).stdout)
    assert [event["event_id"] for event in made["accruals"][0]["events"]] == events
    up = run("trace", "--event", events[5])
    assert f"line {line} of batch" in up.stdout
    assert "model m1, policy p1" in up.stdout
    assert up.stdout.endswith("Payable, and in no batch that pays it.\n")
    assert json.loads(run("trace", "--event", events[5], "--json").stdout)[0]["problem"] == ""


def test_a_trace_that_does_not_sum_up(run: Run, world: World) -> None:
    promoter = new_promoter(world.conn, KEYS)
    _, events = world.view(new_campaign(world.conn), promoter, 20)
    settle(world.conn)
    made = draft(world.conn, "EUR", None, 0, actor="anna", key=name("key")).batch
    assert made is not None
    line = next(line.line_id for line in made.lines if line.promoter_id == promoter)
    world.client.command(f"ALTER TABLE views DELETE WHERE event_id = '{events[0]}'")
    result = run("trace", line)
    assert result.exit_code == 1
    assert "WRONG accrual" in result.stdout
    assert "ClickHouse has 19" in result.stdout
    result = run("trace", line, "--json")
    assert result.exit_code == 1
    assert len(json.loads(result.stdout)["problems"]) == 1


def test_what_cannot_be_traced(run: Run) -> None:
    assert "no payout line 777" in problem(run("trace", 777))
    assert "there is no event 'x'" in problem(run("trace", "--event", "x"))
    assert "give a payout line" in problem(run("trace"))
    assert "give a payout line" in problem(run("trace", 1, "--event", "x"))
