"""The hash chain over the rows of the ledger: built in the background, checked by `verify`.

A link covers the rows of one table with `after_id < id <= to_id`. Its hash is

    SHA-256(hash of the link before ‖ what the link says of itself ‖ SHA-256 of each row)

where a row is the text of all columns that its table had when it was sealed. Who changes a row
has to change every later hash as well; the newest one, which `viewledger ledger verify` prints
and every approved payout batch keeps, is what somebody outside can hold against that.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, LiteralString, NamedTuple

import msgspec
from psycopg import sql

from sinks.postgres import Connection

_LINK_IDS = 5_000
"""Most ids in one link."""
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
                rows += _add_link(conn, table, after, min(after + _LINK_IDS, head))
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
        digests = list(_row_digests(conn, link))
        rows += len(digests)
        if _hash(previous, link, digests) != link.hash:
            found = _changed_rows(conn, link, digests)
            tampered += found or [Tampered(where, "its hash is not that of what it says")]
        previous = link.hash
        known = known or link.hash == expected_head
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
    digests = list(_row_digests(conn, link))
    link = link._replace(row_digests=b"".join(digest[:_DIGEST] for digest in digests))
    link = link._replace(hash=_hash(previous, link, digests))
    conn.execute("INSERT INTO chain_links VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", link)
    return len(digests)


def _columns(conn: Connection, table: str) -> list[str]:
    """The columns of a chained table; none of any other."""
    rows = conn.execute(
        "SELECT attname FROM pg_attribute JOIN chained_tables ON attrelid = to_regclass(name)"
        " WHERE name = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (table,),
    )
    return [name for (name,) in rows]


def _hash(previous: bytes, link: Link, digests: list[bytes]) -> bytes:
    says = msgspec.json.encode([*link[:6], link.sealed_at])
    return hashlib.sha256(previous + hashlib.sha256(says).digest() + b"".join(digests)).digest()


def _row_digests(conn: Connection, link: Link) -> Iterator[bytes]:
    """SHA-256 of each row of a link, in order."""
    sha256 = hashlib.sha256
    with conn.cursor().copy(_select(conn, link, "ROW({columns})::text")) as copy:
        for data in copy:
            yield sha256(data).digest()


def _select(conn: Connection, link: Link, what: LiteralString) -> sql.Composed:
    id_column, row_order = conn.execute(
        "SELECT id_column, row_order FROM chained_tables WHERE name = %s", (link.table_name,)
    ).fetchone() or ("", "")
    columns = sql.SQL(", ").join(map(sql.Identifier, link.columns))
    return sql.SQL(
        "COPY (SELECT {what} FROM {table} WHERE {id} > {after} AND {id} <= {to} ORDER BY {order})"
        " TO STDOUT"
    ).format(
        what=sql.SQL(what).format(columns=columns),
        table=sql.Identifier(link.table_name),
        id=sql.Identifier(id_column),
        after=sql.Literal(link.after_id),
        to=sql.Literal(link.to_id),
        order=sql.SQL(", ").join(map(sql.Identifier, row_order.split(", "))),
    )


def _changed_rows(conn: Connection, link: Link, digests: list[bytes]) -> list[Tampered]:
    """Which rows of a link are not what they were."""
    sealed = [link.row_digests[i : i + _DIGEST] for i in range(0, len(link.row_digests), _DIGEST)]
    row_order = _one("SELECT row_order FROM chained_tables WHERE name = %s", conn, link.table_name)
    known, found = set(sealed), []
    with conn.cursor().copy(_select(conn, link, row_order)) as copy:
        for digest, data in zip(digests, copy, strict=True):
            if digest[:_DIGEST] not in known:
                ids = bytes(data).decode().strip().replace("\t", ", ")
                found.append(
                    Tampered(
                        f"{link.table_name} ({row_order}) = ({ids})",
                        "was changed, or added later",
                    )
                )
    if len(digests) < len(sealed):
        found.append(
            Tampered(
                f"{link.table_name}, ids {link.after_id + 1} to {link.to_id}",
                f"{len(sealed) - len(digests)} of {len(sealed)} rows are missing",
            )
        )
    return found


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


def _one(query: LiteralString, conn: Connection, *values: object) -> Any:
    row = conn.execute(query, values).fetchone()
    return row[0] if row else None
