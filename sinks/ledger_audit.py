"""The whole ledger read again: the hash chain, and everything that has to add up."""

import msgspec

from sinks.chain import check_chain, unsealed
from sinks.ledger_verify import discrepancies
from sinks.postgres import Connection


class Wrong(msgspec.Struct, frozen=True):
    """A row that is not as it should be."""

    check: str
    where: str
    expected: str
    found: str


class Audit(msgspec.Struct, frozen=True):
    """Outcome of `audit`."""

    ok: bool
    rows: int
    """Sealed rows that were read."""
    links: int
    head: str
    """Newest hash of the chain, hex: what somebody outside may note."""
    unsealed: int
    """Rows behind the last link, about."""
    wrong: list[Wrong]


def audit(conn: Connection, expected_head: bytes | None = None) -> Audit:
    """Reads everything, as of one moment.

    Args:
        conn: a connection that is in no transaction.
        expected_head: a hash that was noted outside: it must be one of the chain.
    """
    waiting = unsealed(conn)
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        chain = check_chain(conn, expected_head)
        wrong = [Wrong("as it was sealed", row.where, "", row.what) for row in chain.tampered]
        wrong += [Wrong(*row) for row in discrepancies(conn)]
    return Audit(not wrong, chain.rows, chain.links, chain.head.hex(), waiting, wrong)
