"""What `demo` shows of finance."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pipeline.cli.problems import Problem
from schemas.settings import Settings

if TYPE_CHECKING:
    from schemas.seal_keys import Keys
    from sinks.postgres import Connection


def keys_of(now: Settings, folder: Path) -> "Keys":
    """The keys of the settings, or a fresh one, which `--keep` leaves in the folder."""
    from schemas.seal_keys import parse_keys
    from sinks.sealing import new_key, payee_keys

    if now.payee_keys is not None:
        return payee_keys(now)
    key = new_key()
    (folder / "payee-keys").write_text(key)
    return parse_keys(key)


def pay(conn: "Connection", keys: "Keys", catalogue: Path, folder: Path) -> None:
    """Settles, pays, hears from the bank, and says so."""
    from pipeline.demo_finance import CURRENCY, MINIMUM_MICROS, run_finance
    from schemas.money import format_micros
    from sinks.payouts.batch import PayoutError

    try:
        done = run_finance(conn, keys, catalogue, folder)
    except PayoutError as error:
        raise Problem(str(error)) from None
    typer.echo("\nFinance: the hold of these campaigns is 0 hours, so that it can be paid today")
    for moved in done.settled:
        typer.echo(
            f"  settled    {format_micros(moved.micros, moved.currency)} of {moved.promoters} "
            "promoters is payable"
        )
    batch = done.drafted
    least = format_micros(MINIMUM_MICROS, CURRENCY)
    typer.echo(f"  payees     {done.payees} imported by anna, verified by ben")
    typer.echo(
        f"  drafted    batch {batch.batch_id} by anna: {len(batch.lines)} lines, "
        f"{format_micros(batch.total_micros, CURRENCY)}; {done.left} with less than {least}"
    )
    typer.echo("  approved   by ben; anna herself would be refused, by the database")
    typer.echo(
        f"  exported   {done.file.name}: {len(done.file.content):,} bytes of pain.001.001.09, "
        f"valid by its schema\n             SHA-256 {done.file.sha256}"
    )
    counts = {
        status: sum(line.status == status for line in done.answered.lines)
        for status in ("settled", "failed")
    }
    typer.echo(
        f"  answered   by the bank (pain.002, camt.053): {counts['settled']} settled, "
        f"{counts['failed']} failed and payable again"
    )


def check(conn: "Connection") -> bool:
    """Seals and verifies the ledger, and says so."""
    from sinks.chain import seal, verify_chain
    from sinks.ledger_verify import verify_ledger

    seal(conn)
    wrong, chain = verify_ledger(conn), verify_chain(conn)
    fine = not wrong and not chain.tampered
    said = "nothing wrong" if fine else f"{len(wrong) + len(chain.tampered)} things wrong"
    typer.echo(
        f"  verified   {chain.rows:,} rows under {chain.links} links of the hash chain: {said}"
    )
    return fine


def show_statement(now: Settings, conn: "Connection") -> None:
    """The statement of the promoter who was paid most."""
    from datetime import UTC, datetime, timedelta

    from sinks.clickhouse import connect
    from sinks.statement import statement
    from sinks.statement_text import as_text

    (promoter,) = conn.execute(
        "SELECT promoter_id FROM payout_lines WHERE status = 'settled'"
        " ORDER BY amount_micros DESC, promoter_id LIMIT 1"
    ).fetchall()[0]
    to = datetime.now(UTC)
    found = statement(conn, connect(now.url("clickhouse")), promoter, to - timedelta(days=30), to)
    # What was not paid, by campaign and reason, is a page of its own.
    typer.echo(f"\n{as_text(found).partition('Views that were not paid')[0]}")
