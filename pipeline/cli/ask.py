"""`query`: asks ClickHouse."""

from typing import Annotated

import typer

from pipeline.cli.problems import Problem, service_problems
from schemas.settings import settings

_NO_END = 10**6
"""Columns of what is no terminal."""


def register(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command()(query)


def query(
    sql: Annotated[str, typer.Argument(help="One statement in ClickHouse's SQL.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Ask ClickHouse: tables views, views_rejected, views_hourly, blocks, corrections."""
    import json

    from sinks.clickhouse import connect

    statement = sql.strip("; \n\t")
    if not statement:
        raise Problem('there is no statement: ask for one such as "SELECT count() FROM views"')
    with service_problems():
        # Asked raw: the server writes dates and 64-bit integers as JSON has them.
        answer = connect(settings().url("clickhouse")).raw_query(
            statement,
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
    from rich.table import Column, Table
    from rich.text import Text

    # Nothing is cut, since ids are copied from here; nor is a value taken for markup.
    table = Table(*(Column(Text(name), overflow="fold") for name in names))
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    if names:
        console = Console()
        if not console.is_terminal:
            console.width = _NO_END
        console.print(table)
    typer.echo(f"{len(rows):,} {'row' if len(rows) == 1 else 'rows'}")
