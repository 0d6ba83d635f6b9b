"""`python -m bench.explain [--accruals N]`: every query of the product on ten million entries.

Calls the product's functions on a filled ledger with a cursor that asks for the plan of every
statement first, and writes a table of them into docs/ledger.md.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from bench.fill import fill
from pipeline.embedded.stack import start_services, stop
from schemas.payout import Answer
from schemas.settings import Settings
from sinks import trace, trace_accruals
from sinks.correct import correct
from sinks.ledger import Entry, Journal, find_accounts, lock_balances, post, reversals
from sinks.ledger_verify import discrepancies, ledger_totals
from sinks.migrate import migrate_up
from sinks.payouts.answers import load_puzzles, mark
from sinks.payouts.approve import check_payees
from sinks.payouts.batch import list_batches, load_batch
from sinks.payouts.draft import draft
from sinks.postgres import Connection, connect
from sinks.settle import settle
from sinks.statement import load_currencies

_PAGE = Path(__file__).parent.parent / "docs" / "ledger.md"
BEGIN, END = "<!-- explain: begin -->", "<!-- explain: end -->"
_BATCH, _LINE = 7, 33_000
WHOLE = ("verify", "reconcile")
"""What has to read everything."""


class Explained(NamedTuple):
    """One statement that one function ran."""

    what: str
    statement: str
    access: str
    """How each table was read."""
    sequential: list[str]
    """Tables of more than a few pages that were read from end to end."""
    seconds: float


def _cursor(found: list[tuple[str, str, list[str], float]]) -> type[psycopg.Cursor[Any]]:
    """A cursor that notes statement, access, tables read from end to end, and seconds."""

    class Explaining(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            text = query.as_string(self) if isinstance(query, sql.Composable) else query
            text = text.decode() if isinstance(text, bytes) else str(text)
            plan = None
            if re.match(r"\s*(SELECT|INSERT|UPDATE|WITH|CREATE TEMP)\b", text):
                asking = psycopg.Cursor(self.connection)
                row = asking.execute(f"EXPLAIN (FORMAT JSON) {text}".encode(), params).fetchone()
                assert row is not None
                plan = row[0][0]["Plan"]
            started = time.perf_counter()
            super().execute(query, params, **options)
            if plan is not None:
                took = time.perf_counter() - started
                found.append((" ".join(text.split()), _access(plan), _sequential(plan), took))
            return self

    return Explaining


def _nodes(plan: dict[str, Any]) -> Iterable[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def _table(name: str) -> str:
    """The partitioned table instead of its partitions."""
    return re.sub(r"^entries_\d.*", "entries", name)


def _access(plan: dict[str, Any]) -> str:
    short = {"Index Only Scan": "index only", "Index Scan": "index", "Seq Scan": "**all**"}
    short |= {"Bitmap Heap Scan": "bitmap"}
    seen = dict.fromkeys(
        f"{_table(node['Relation Name'])}: {short.get(node['Node Type'], node['Node Type'])}"
        for node in _nodes(plan)
        if "Relation Name" in node
        and node["Node Type"] != "ModifyTable"
        and not (node["Node Type"] == "Seq Scan" and node["Plan Rows"] <= _FEW)
    )
    return ", ".join(seen) or "–"


_FEW = 1_000
"""Rows that are as quickly read from end to end."""


def _sequential(plan: dict[str, Any]) -> list[str]:
    return sorted(
        {
            _table(node["Relation Name"])
            for node in _nodes(plan)
            if node["Node Type"] == "Seq Scan" and node["Total Cost"] > _FEW
        }
    )


class _NoViews:
    """Stands for ClickHouse: only the queries of Postgres are looked at here."""

    def query(self, *_: Any, **__: Any) -> Any:
        return self

    result_rows: tuple[()] = ()


def actions(conn: Connection) -> dict[str, Callable[[], Any]]:
    """What is called, by name."""
    now = datetime.now(UTC)
    period: Any = {"promoter": "p123", "from": now - timedelta(days=60), "to": now}
    one = conn.execute("SELECT max(accrual_id) FROM settled_accruals").fetchall()[0][0]

    def moved() -> None:
        owner = ("c9", "EUR")
        account = find_accounts(conn, "campaign_funding", [owner])[owner]
        goal = find_accounts(conn, "campaign_budget", [owner])[owner]
        lock_balances(conn, [account, goal])
        journal = Journal("funding", "explain", "", (Entry(account, -1), Entry(goal, 1)))
        post(conn, [journal])
        post(conn, [journal])

    def answered() -> None:
        (line_id,) = conn.execute(
            "SELECT min(line_id) FROM payout_lines WHERE batch_id = %s", (_BATCH,)
        ).fetchall()[0]
        mark(conn, line_id, Answer(reference=f"VL{line_id}", outcome="returned"), actor="ivan")

    def batch() -> None:
        found = load_batch(conn, _BATCH)
        check_payees(conn, found, found.lines)

    return {
        "post": moved,
        "statement": lambda: load_currencies(conn, period),
        "trace a line": lambda: trace.trace_line(conn, _NoViews(), _LINE, 3),  # type: ignore[arg-type]
        "trace: accruals": lambda: trace_accruals.load_accruals(conn, [4_000_000]),
        "reversals": lambda: reversals(conn, [4_000_000], "explain", ""),
        "correct": lambda: correct(conn, one, 1, reason="x", actor="carla", key="explain"),
        "list batches": lambda: list_batches(conn),
        "load a batch": batch,
        "bank answer": answered,
        "puzzles": lambda: load_puzzles(conn),
        "settle": lambda: settle(conn),
        "draft": lambda: draft(conn, "EUR", None, 0, actor="dora", key="explain"),
        "reconcile": lambda: ledger_totals(conn),
        "verify": lambda: discrepancies(conn),
    }


def explain(settings: Settings, only: Collection[str] = ()) -> list[Explained]:
    """Plans and times of all statements, or of those functions; nothing of it stays."""
    explained = []
    with connect(settings) as conn, conn.transaction(force_rollback=True):
        for what, action in actions(conn).items():
            if only and what not in only:
                continue
            found: list[tuple[str, str, list[str], float]] = []
            conn.cursor_factory = _cursor(found)
            try:
                with conn.transaction(force_rollback=True):
                    action()
            finally:
                conn.cursor_factory = psycopg.Cursor
            explained += [Explained(what, *row) for row in found]
    return explained


def markdown(explained: list[Explained]) -> str:
    """The table of the page: of every function its statements, the slowest of a kind once."""
    lines = ["| function | statement | how tables are read | ms |", "|---|---|---|---:|"]
    for one in explained:
        text = one.statement.replace("|", "\\|")
        text = text if len(text) <= 70 else text[:70] + "…"
        lines.append(f"| {one.what} | `{text}` | {one.access} | {one.seconds * 1000:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Fills a ledger, explains, and rewrites the section of the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.explain", description=__doc__)
    parser.add_argument("--accruals", type=int, default=2_420_000)
    parser.add_argument("--url", help="of a database that is filled already")
    parser.add_argument("--only", nargs="+", default=[], metavar="FUNCTION")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="viewledger-explain-") as folder:
        settings = Settings(
            data=Path(folder),
            postgres=asked.url,
            kafka="kafka://nowhere:1",  # only Postgres is started
            clickhouse="http://nowhere",
            redis="redis://nowhere",
        )
        try:
            if asked.url is None:
                start_services(settings)
                migrate_up(settings, ["postgres"])
                fill(settings, asked.accruals, 50_000)
            explained = explain(settings, asked.only)
        finally:
            stop(settings)
    for one in explained:
        if one.sequential and one.what not in WHOLE:
            print(
                f"{one.what}: reads all of {one.sequential}, {one.seconds:.2f} s: {one.statement}"
            )
    before, _, rest = _PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    _PAGE.write_text(f"{before}{BEGIN}\n{markdown(explained)}\n{END}{after}")


if __name__ == "__main__":
    main()
