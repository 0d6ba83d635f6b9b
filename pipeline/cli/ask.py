"""`query`: asks ClickHouse."""

from typing import Annotated

import typer

from pipeline.cli.problems import service_problems
from schemas.settings import settings


def register(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command()(query)


def query(
    sql: Annotated[str, typer.Argument(help="One statement in ClickHouse's SQL.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Ask ClickHouse: tables views, views_rejected, views_hourly, blocks."""
    import json

    from sinks.clickhouse import connect

    with service_problems():
        # Asked raw: the server writes dates and 64-bit integers as JSON has them.
        answer = connect(settings().url("clickhouse")).raw_query(
            sql.strip().rstrip(";"),
            settings={
                "readonly": 2,
                "output_format_json_quote_64bit_integers": 0,
                "output_format_json_quote_decimals": 0,
                "output_format_json_quote_denormals": 0,
            },
            fmt="JSONCompact",
        )
    found = json.loads(answer) if answer.strip() else {"meta": [], "data": []}
    names = [column["name"] for column in found["meta"]]
    if as_json:
        rows = [dict(zip(names, row, strict=True)) for row in found["data"]]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        _show(names, found["data"])


def _show(names: list[str], rows: list[list[object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*names)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    if names:
        Console().print(table)
    typer.echo(f"{len(rows):,} {'row' if len(rows) == 1 else 'rows'}")
