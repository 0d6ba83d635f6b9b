"""Erased viewers in ClickHouse: whose rows are found by keyed hash, and unlinked by a mutation.

The text of a mutation is kept by the server, so it names rows by their offsets, never a viewer.
What a query asks for travels as an external table, which no log of queries has.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

from clickhouse_connect.driver.external import ExternalData

from schemas.erased import NAMES, PERSONAL, Erased
from sinks.clickhouse import Client

_ROWS = 20_000
"""Of one mutation."""
_PASSES = 10_000
_WAIT = {"mutations_sync": 2}


class EraseError(Exception):
    """Rows do not go away."""


class Row(NamedTuple):
    """A view of an erased viewer."""

    digest: bytes
    partition: int
    raw_offset: int


def unlink_stored(client: Client, erased: Erased, viewer_ids: Collection[str] = ()) -> int:
    """Unlinks all rows of `views` that are of erased viewers; may be repeated at any time.

    Args:
        viewer_ids: looks for these only, which is faster than to hash every viewer.

    Returns:
        The number of rows that were found.

    Raises:
        EraseError: rows are still there after the mutations.
        clickhouse_connect.driver.exceptions.Error: ClickHouse does not answer, or refuses.
    """
    found, last = 0, None
    for _ in range(_PASSES):
        rows = _find(client, erased, viewer_ids)
        if not rows:
            return found
        if rows == last:
            break
        _unlink(client, erased, rows)
        found, last = found + len(rows), rows
    raise EraseError(f"{found:,} rows of views were updated, and some of them are as before")


def count_unlinked(client: Client, pseudonym: str) -> int:
    """How many rows stand under a pseudonym."""
    (row,) = client.query(
        "SELECT count() FROM views WHERE viewer_id = {pseudonym:String}",
        parameters={"pseudonym": pseudonym},
    ).result_rows
    return int(row[0])


def _find(client: Client, erased: Erased, viewer_ids: Collection[str]) -> list[Row]:
    if not erased.pseudonyms:
        return []
    hashed = "SHA256(concat(unhex((SELECT any(secret) FROM wanted)), viewer_id))"
    secret = erased.secret.hex()
    names = [one.encode().hex() for one in viewer_ids] or [""]
    wanted = ExternalData(
        file_name="wanted",
        data="".join(
            f"{secret}\t{known.hex()}\t{name}\n" for known in erased.pseudonyms for name in names
        ).encode(),
        fmt="TSV",
        structure="secret String, digest String, viewer String",
    )
    named = "viewer_id IN (SELECT unhex(viewer) FROM wanted) AND" if viewer_ids else ""
    rows = client.query(
        f"SELECT hex({hashed}), partition, raw_offset FROM views"  # noqa: S608 - nothing of a user
        f" WHERE {named} {hashed} IN (SELECT unhex(digest)::FixedString(32) FROM wanted)"
        f" ORDER BY partition, raw_offset LIMIT {_ROWS}",
        external_data=wanted,
    ).result_rows
    return [Row(bytes.fromhex(known), int(at), int(offset)) for known, at, offset in rows]


def _unlink(client: Client, erased: Erased, rows: list[Row]) -> None:
    columns = {row[0]: row[1] for row in client.query("DESCRIBE TABLE views").result_rows}
    nothing = [
        f"{name} = {'[]' if kind.startswith('Array') else 'NULL'}"
        for name, kind in columns.items()
        if name in PERSONAL
    ]
    by_viewer: dict[bytes, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_viewer[row.digest][row.partition].append(row.raw_offset)
    for known, offsets in by_viewer.items():
        named = [f"{name} = '{erased.pseudonyms[known]}'" for name in NAMES]
        where = " OR ".join(
            f"partition = {partition} AND raw_offset IN ({', '.join(map(str, some))})"
            for partition, some in sorted(offsets.items())
        )
        client.command(
            f"ALTER TABLE views UPDATE {', '.join(named + nothing)} WHERE {where}", settings=_WAIT
        )
