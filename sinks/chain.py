"""The hash chain over the rows of the ledger: built in the background, checked by `verify`.

A link covers the rows of one table with `after_id < id <= to_id`. Its hash is

    SHA-256(hash of the link before ‖ what the link says of itself ‖ SHA-256 of each row)

where a row is the text of all columns that its table had when it was sealed; Postgres hashes the
rows, a row at a time in Python is three times slower. Who changes a row
has to change every later hash as well; the newest one, which `viewledger ledger verify` prints
and every approved payout batch keeps, is what somebody outside can hold against that.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, LiteralString, NamedTuple

import msgspec
from psycopg import sql

from sinks.postgres import Connection

_LINK_ROWS = 10_000
"""About how many rows make a link; the rows of one id are in one link."""
_SHA256 = 32
_DIGEST = 8
"""Bytes that are kept of the digest of a row."""
_GENESIS = bytes(32)


class Link(NamedTuple):
    """One row of `chain_links`."""

    link_id: int
    table_name: str
    columns: list[str]
    after_id: int
    to_id: int
    row_digests: bytes
    hash: bytes
    sealed_at: str
    """As Postgres writes it, in UTC."""


class Tampered(NamedTuple):
    """Rows that are not what was sealed."""

    where: str
    what: str


class Chain(NamedTuple):
    """Outcome of `verify_chain`."""

    links: int
    rows: int
    """Sealed rows that were read."""
    head: bytes
    """Hash of the newest link; zeros where there is none."""
    tampered: list[Tampered]


def seal(conn: Connection) -> int:
    """Adds links for all rows that are committed and in none; returns how many rows.

    Several may try at once: the links of one of them stay.
    """
    rows = 0
    heads: dict[str, int] = dict(conn.execute("SELECT * FROM chain_heads()").fetchall())
    for table, head in sorted(heads.items()):
        while True:
            with conn.transaction():
                _plain_text(conn)
                conn.execute("SELECT pg_advisory_xact_lock(hashtext('viewledger chain'))")
                done = _one("SELECT max(to_id) FROM chain_links WHERE table_name = %s", conn, table)
                if (after := done or 0) >= head:
                    break
                rows += _add_link(conn, table, after, _link_end(conn, table, after, head))
    return rows


def verify_chain(conn: Connection, expected_head: bytes | None = None) -> Chain:
    """Reads every sealed row again, as of one moment.

    Args:
        expected_head: a hash that was noted outside: it must be one of the chain.
    """
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return check_chain(conn, expected_head)


def check_chain(conn: Connection, expected_head: bytes | None = None) -> Chain:
    """As `verify_chain`, within the caller's transaction."""
    tampered: list[Tampered] = []
    previous, rows, count, known = _GENESIS, 0, 0, expected_head in (None, _GENESIS)
    reached: dict[str, int] = {}
    _plain_text(conn)
    for link in _links(conn):
        count += 1
        where = f"chain_links {link.link_id}"
        if link.link_id != count:
            tampered.append(Tampered(where, f"link {count} is missing"))
            count = link.link_id
        if link.after_id != reached.get(link.table_name, 0):
            tampered.append(Tampered(where, "does not begin where the last one ended"))
        reached[link.table_name] = link.to_id
        if set(link.columns) - set(_columns(conn, link.table_name)):
            tampered.append(Tampered(where, "names a table or columns that there are not"))
            continue
        digests = _row_digests(conn, link)
        rows += len(digests) // _SHA256
        if _hash(previous, link, digests) != link.hash:
            found = _changed_rows(conn, link, digests)
            tampered += found or [Tampered(where, "its hash is not that of what it says")]
        previous = link.hash
        known = known or link.hash == expected_head
    tampered += _in_front(conn)
    if not known and expected_head is not None:
        tampered.append(Tampered("chain_links", f"no link has the hash {expected_head.hex()}"))
    return Chain(count, rows, previous, tampered)


def unsealed(conn: Connection) -> int:
    """Rows that wait to be sealed, about: ids behind the heads of all tables."""
    sealed: dict[str, int] = dict(
        conn.execute("SELECT table_name, max(to_id) FROM chain_links GROUP BY 1").fetchall()
    )
    heads = conn.execute("SELECT * FROM chain_heads()").fetchall()
    return sum(head - sealed.get(table, 0) for table, head in heads)


def _add_link(conn: Connection, table: str, after: int, to: int) -> int:
    columns = _columns(conn, table)
    newest = conn.execute(
        "SELECT link_id, hash FROM chain_links ORDER BY link_id DESC LIMIT 1"
    ).fetchone()
    link_id, previous = newest or (0, _GENESIS)
    now = _one("SELECT now()::text", conn)
    link = Link(link_id + 1, table, columns, after, to, b"", b"", now)
    digests = _row_digests(conn, link)
    link = link._replace(row_digests=b"".join(_shortened(digests)))
    link = link._replace(hash=_hash(previous, link, digests))
    conn.execute("INSERT INTO chain_links VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", link)
    return len(digests) // _SHA256


def _link_end(conn: Connection, table: str, after: int, head: int) -> int:
    """The id that ends a link which begins behind `after`."""
    id_column, _ = _keys(conn, table)
    query = sql.SQL(
        "SELECT max(id) FROM (SELECT {id} AS id FROM {table} WHERE {id} > %s AND {id} <= %s"
        " ORDER BY {id} LIMIT %s)"
    ).format(id=sql.Identifier(id_column), table=sql.Identifier(table))
    return _one(query, conn, after, head, _LINK_ROWS) or head


def _columns(conn: Connection, table: str) -> list[str]:
    """The columns of a chained table; none of any other."""
    rows = conn.execute(
        "SELECT attname FROM pg_attribute JOIN chained_tables ON attrelid = to_regclass(name)"
        " WHERE name = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (table,),
    )
    return [name for (name,) in rows]


def _keys(conn: Connection, table: str) -> tuple[str, str]:
    """The id and the order of rows of a chained table."""
    found = conn.execute(
        "SELECT id_column, row_order FROM chained_tables WHERE name = %s", (table,)
    )
    id_column, row_order = found.fetchone() or ("", "")
    return id_column, row_order


def _hash(previous: bytes, link: Link, digests: bytes) -> bytes:
    says = msgspec.json.encode([*link[:6], link.sealed_at])
    return hashlib.sha256(previous + hashlib.sha256(says).digest() + digests).digest()


def _row_digests(conn: Connection, link: Link) -> bytes:
    """SHA-256 of each row of a link, one after the other."""
    # Named in full: the owner of the database can put other functions of these names first.
    id_column, row_order = _keys(conn, link.table_name)
    query = sql.SQL(
        "SELECT pg_catalog.string_agg(pg_catalog.sha256(pg_catalog.convert_to("
        "ROW({columns})::text, 'UTF8')), '' ORDER BY {order})"
        " FROM {table} WHERE {id} > %s AND {id} <= %s"
    ).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, link.columns)),
        order=_order(row_order),
        table=sql.Identifier(link.table_name),
        id=sql.Identifier(id_column),
    )
    return _one(query, conn, link.after_id, link.to_id) or b""


def _shortened(digests: bytes) -> list[bytes]:
    return [digests[i : i + _DIGEST] for i in range(0, len(digests), _SHA256)]


def _changed_rows(conn: Connection, link: Link, digests: bytes) -> list[Tampered]:
    """Which rows of a link are not what they were."""
    sealed = [link.row_digests[i : i + _DIGEST] for i in range(0, len(link.row_digests), _DIGEST)]
    id_column, row_order = _keys(conn, link.table_name)
    query = sql.SQL(
        "SELECT {order} FROM {table} WHERE {id} > %s AND {id} <= %s ORDER BY {order}"
    ).format(
        table=sql.Identifier(link.table_name), id=sql.Identifier(id_column), order=_order(row_order)
    )
    ids = conn.execute(query, (link.after_id, link.to_id))
    known, there = set(sealed), _shortened(digests)
    found = [
        Tampered(
            f"{link.table_name} ({row_order}) = ({', '.join(map(str, row))})",
            "was changed, or added later",
        )
        for digest, row in zip(there, ids, strict=True)
        if digest not in known
    ]
    if len(there) < len(sealed):
        found.append(
            Tampered(
                f"{link.table_name}, ids {link.after_id + 1} to {link.to_id}",
                f"{len(sealed) - len(there)} of {len(sealed)} rows are missing",
            )
        )
    return found


def _in_front(conn: Connection) -> list[Tampered]:
    """Rows that are in no link and never will be: links begin behind 0, as numbers do."""
    found = []
    for table, column in conn.execute("SELECT name, id_column FROM chained_tables").fetchall():
        query = sql.SQL("SELECT min({id}) FROM {table} WHERE {id} < 1").format(
            id=sql.Identifier(column), table=sql.Identifier(table)
        )
        if (lowest := _one(query, conn)) is not None:
            found.append(Tampered(f"{table} ({column}) = ({lowest})", "is in front of all links"))
    return found


def _order(row_order: str) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, row_order.split(", ")))


def _links(conn: Connection) -> Iterator[Link]:
    last = 0
    while found := conn.execute(
        "SELECT link_id, table_name, columns, after_id, to_id, row_digests, hash, sealed_at::text"
        " FROM chain_links WHERE link_id > %s ORDER BY link_id LIMIT 100",
        (last,),
    ).fetchall():
        yield from (Link(*row) for row in found)
        last = found[-1][0]


def _plain_text(conn: Connection) -> None:
    """The text of a row must not depend on who asks."""
    for setting in ("timezone = 'UTC'", "datestyle = 'ISO, YMD'", "bytea_output = 'hex'"):
        conn.execute(sql.SQL("SET LOCAL {}").format(sql.SQL(setting)))


def _one(query: LiteralString | sql.Composed, conn: Connection, *values: object) -> Any:
    row = conn.execute(query, values).fetchone()
    return row[0] if row else None
