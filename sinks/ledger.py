"""The thin ledger: accounts, and journals whose entries sum to zero.

What must always hold (sums to zero, nothing overdrawn, nothing changed or deleted) is held by
the database (`schemas/migrations/postgres/`, 0002 and 0005); here is only how to write to it in
bulk. All functions work inside the caller's transaction.
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from sinks.postgres import Connection

AccountKind = Literal[
    "campaign_funding",
    "campaign_budget",
    "platform_fee",
    "promoter_pending",
    "promoter_payable",
    "promoter_debt",
    "payout_clearing",
    "tax_withheld",
    "bank",
]
JournalKind = Literal[
    "funding",
    "accrual",
    "settlement",
    "correction",
    "netting",
    "payout",
    "payout_settled",
    "reversal",
]
PLATFORM = "platform"
"""Owner of the accounts that are the platform's own."""
Owner = tuple[str, str]
"""Campaign or promoter, and currency."""


class Entry(NamedTuple):
    """One side of a journal."""

    account_id: int
    amount_micros: int
    """Positive into the account, negative out of it."""


class Journal(NamedTuple):
    """A movement of money."""

    kind: JournalKind
    idempotency_key: str
    description: str
    entries: tuple[Entry, ...]
    reverses_id: int | None = None
    """The journal that a reversal takes back."""

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 over all but the key."""
        content: list[Any] = [self.kind, self.description, sorted(self.entries)]
        if self.reverses_id is not None:
            content.append(self.reverses_id)
        return hashlib.sha256(msgspec.json.encode(content)).digest()


class IdempotencyError(Exception):
    """A key that was used before comes with another request."""


def find_accounts(
    conn: Connection, kind: AccountKind, owners: Collection[Owner]
) -> dict[Owner, int]:
    """Account ids of those owners that have such an account."""
    names, currencies = _columns(owners, 2)
    rows = conn.execute(
        """
        SELECT owner_id, currency, account_id FROM accounts
        JOIN unnest(%s::text[], %s::text[]) AS wanted (owner_id, currency)
            USING (owner_id, currency)
        WHERE kind = %s
        """,
        (names, currencies, kind),
    )
    return {(owner, currency): account_id for owner, currency, account_id in rows}


def open_accounts(
    conn: Connection, kind: AccountKind, owners: Collection[Owner]
) -> dict[Owner, int]:
    """Account ids of all owners; missing accounts are created."""
    found = find_accounts(conn, kind, owners)
    missing = sorted(set(owners) - set(found))  # one order for all, against deadlocks
    if not missing:
        return found
    names, currencies = _columns(missing, 2)
    conn.execute(
        """
        INSERT INTO accounts (kind, owner_id, currency)
        SELECT %s, owner_id, currency
        FROM unnest(%s::text[], %s::text[]) AS wanted (owner_id, currency)
        ON CONFLICT DO NOTHING
        """,
        (kind, names, currencies),
    )
    # Asked again, because another transaction may have been first with some of them.
    return found | find_accounts(conn, kind, missing)


def lock_balances(conn: Connection, account_ids: Collection[int]) -> dict[int, int]:
    """Balances in micros, locked until the transaction ends, always in the same order."""
    rows = conn.execute(
        """
        SELECT account_id, balance_micros FROM balances
        WHERE account_id = ANY (%s) ORDER BY account_id FOR UPDATE
        """,
        (list(account_ids),),
    )
    return dict(rows.fetchall())


def post(conn: Connection, journals: Sequence[Journal]) -> list[int]:
    """Writes journals, whose keys differ, and returns their ids in the same order.

    A journal that was written before is not written again.

    Raises:
        IdempotencyError: it was, but not the same.
        psycopg.errors.IntegrityError: the database refuses it (not balanced, overdrawn, empty).
    """
    if not journals:
        return []
    fingerprints = [journal.fingerprint for journal in journals]
    keys = [journal.idempotency_key for journal in journals]
    created: dict[str, int] = dict(
        conn.execute(
            """
            INSERT INTO journals (kind, idempotency_key, fingerprint, description, reverses_id)
            SELECT * FROM unnest(
                %s::text[], %s::text[], %s::bytea[], %s::text[], %s::bigint[])
            ON CONFLICT (idempotency_key) DO NOTHING
            RETURNING idempotency_key, journal_id
            """,
            (
                [journal.kind for journal in journals],
                keys,
                fingerprints,
                [journal.description for journal in journals],
                [journal.reverses_id for journal in journals],
            ),
        ).fetchall()
    )
    ids = created | _written_before(conn, dict(zip(keys, fingerprints, strict=True)), created)
    entries = [
        (created[journal.idempotency_key], *entry)
        for journal in journals
        if journal.idempotency_key in created
        for entry in journal.entries
    ]
    conn.execute(
        """
        INSERT INTO entries (journal_id, account_id, amount_micros)
        SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[])
        """,
        _columns(entries, 3),
    )
    return [ids[key] for key in keys]


def reversals(conn: Connection, journal_ids: Collection[int], key: str, why: str) -> list[Journal]:
    """What takes journals back, entry by entry; to be given to `post`.

    Args:
        key: begins the idempotency keys, `<key>:<journal_id>`.

    Raises:
        ValueError: one of them does not exist.
    """
    found: dict[int, list[Entry]] = {}
    for journal_id, account_id, amount in conn.execute(
        "SELECT journal_id, account_id, amount_micros FROM entries WHERE journal_id = ANY (%s)"
        " ORDER BY journal_id, account_id",
        (list(journal_ids),),
    ):
        found.setdefault(journal_id, []).append(Entry(account_id, -amount))
    missing = set(journal_ids) - set(found)
    if missing:
        raise ValueError(f"there is no journal {min(missing)}")
    return [
        Journal("reversal", f"{key}:{journal_id}", why, tuple(entries), journal_id)
        for journal_id, entries in found.items()
    ]


def _written_before(
    conn: Connection, fingerprints: dict[str, bytes], created: dict[str, int]
) -> dict[str, int]:
    repeated = [key for key in fingerprints if key not in created]
    if not repeated:
        return {}
    rows = conn.execute(
        "SELECT idempotency_key, journal_id, fingerprint FROM journals"
        " WHERE idempotency_key = ANY (%s)",
        (repeated,),
    ).fetchall()
    for key, journal_id, fingerprint in rows:
        if fingerprint != fingerprints[key]:
            raise IdempotencyError(
                f"journal {journal_id} has the key {key!r} and another content: "
                "a new request needs a new key"
            )
    return {key: journal_id for key, journal_id, _ in rows}


def _columns(rows: Collection[tuple[object, ...]], width: int) -> list[list[object]]:
    """Rows as the arrays that `unnest` takes."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
