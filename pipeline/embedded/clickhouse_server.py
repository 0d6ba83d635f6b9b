"""Serves ClickHouse from the chdb wheel: `python -m pipeline.embedded.clickhouse_server FOLDER`.

The engine listens for as long as the query that started the listeners runs, so that query
sleeps for ever. There is nothing to clean up: the process ends by its signals, and what was
acknowledged is on disk.
"""

import os
import sys
from pathlib import Path

import chdb._chdb

_SERVE = """
SYSTEM START LISTEN HTTP;
SYSTEM START LISTEN TCP;
SELECT sleepEachRow(3) FROM numbers(1000000000) SETTINGS max_block_size = 1
"""


def serve(folder: Path) -> None:
    """Serves with the `config.xml` of `folder`; does not return.

    Raises:
        RuntimeError: could not listen.
    """
    os.chdir(folder)  # where the engine looks for config.xml
    # Any other format than TabSeparated makes the engine fail in this mode.
    chdb._chdb.query(_SERVE, "TabSeparated", path=str(folder / "data"))


if __name__ == "__main__":
    serve(Path(sys.argv[1]).absolute())
