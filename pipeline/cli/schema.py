"""`viewledger schema`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.problems import Problem


def schema(
    out: Annotated[Path | None, typer.Option(help="Where to; standard output if left out.")] = None,
    openapi: Annotated[
        bool, typer.Option("--openapi", help="The OpenAPI document of the collector instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of the event view/1, for those who send events."""
    import json

    from pipeline.collector.openapi import document
    from schemas.view import json_schema

    name = "OpenAPI document of the collector" if openapi else "JSON Schema of view/1"
    found = document() if openapi else json_schema()
    text = json.dumps(found, indent=2, ensure_ascii=False)
    if out is None:
        typer.echo(text)
        return
    try:
        out.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise Problem(f"cannot write {out}: {error.strerror}") from None
    typer.echo(f"{name} in {out}")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(schema)
