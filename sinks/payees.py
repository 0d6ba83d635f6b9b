"""Payees in Postgres: saved with their bank details sealed, shown masked, verified by another."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.errors import CheckViolation
from psycopg.rows import class_row
from pydantic import SecretBytes

from schemas.payee import Payee, TaxForm, mask
from schemas.payout import Address, BankDetails, Method
from sinks.catalogue import Changes
from sinks.payee_check import check_payee
from sinks.postgres import Connection
from sinks.sealing import Sealed, SealError, seal, unseal

_SHOWN = 20
_ADDRESS = Address.__struct_fields__
_COLUMNS = (
    *("promoter_id", "legal_name", *_ADDRESS, "currency", "method", "sealed", "key_id", "masked"),
    *("tax_form", "backup_withholding", "updated_by"),
)


class PayeeError(Exception):
    """What cannot be done with a payee, and why; nothing was changed."""


class MaskedPayee(msgspec.Struct, frozen=True, kw_only=True):
    """A payee as it may be shown: a row of the view `payees_masked`."""

    promoter_id: str
    version: int
    legal_name: str
    street: str
    building: str
    postcode: str
    town: str
    region: str
    country: str
    currency: str
    method: Method
    masked: str
    tax_form: TaxForm
    backup_withholding: bool
    verified_by: str | None
    verified_at: datetime | None
    updated_by: str
    updated_at: datetime
    key_id: str


class PayeeChange(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `payee_changes`; bank details are masked in it."""

    version: int
    kind: str
    fields: list[str]
    before: dict[str, Any]
    after: dict[str, Any]
    changed_by: str
    changed_at: datetime


def save_payees(
    conn: Connection,
    keys: Mapping[str, SecretBytes],
    payees: Iterable[Payee],
    *,
    actor: str,
    replace_unreadable: bool = False,
) -> Changes:
    """Saves payees, all or none. A change of name, address or account ends a verification.

    Args:
        replace_unreadable: what no key opens counts as changed, as after the loss of a key.

    Raises:
        PayeeError: one cannot be paid, or is of no known promoter.
        SealError: a payee that is known does not open, so nobody can say whether it changes.
    """
    check_actor(actor)
    wanted = {payee.promoter_id: payee for payee in payees}
    _refuse([f"{key}: {why}" for key, p in wanted.items() for why in check_payee(p).problems])
    with conn.transaction():
        _refuse_strangers(conn, wanted)
        known: dict[str, Payee | None] = {}
        sealed: dict[str, Sealed] = {}
        for row in _rows(conn, list(wanted), lock=True):
            try:
                payee = known[row["promoter_id"]] = _open(keys, row)
            except SealError:
                if not replace_unreadable:
                    raise
                known[row["promoter_id"]] = None
            else:
                if payee.details == wanted[payee.promoter_id].details:
                    sealed[payee.promoter_id] = Sealed(row["key_id"], row["sealed"])
        new = [payee for key, payee in wanted.items() if key not in known]
        changed = [p for key, p in wanted.items() if key in known and p != known[key]]
        for payee in new + changed:
            if payee.promoter_id not in sealed:
                text = msgspec.json.encode(payee.details)
                sealed[payee.promoter_id] = seal(keys, text, aad(payee.promoter_id, payee.method))
        _upsert(conn, new + changed, sealed, actor)
    return Changes(len(new), len(changed), len(wanted) - len(new) - len(changed))


def load_payees(
    conn: Connection, keys: Mapping[str, SecretBytes], promoter_ids: Sequence[str]
) -> dict[str, Payee]:
    """Payees by promoter, bank details in clear; who has none is missing.

    Raises:
        SealError: one does not open, or is shown as another account than it is.
    """
    return {row["promoter_id"]: _open(keys, row) for row in _rows(conn, promoter_ids)}


def load_details(
    conn: Connection, keys: Mapping[str, SecretBytes], promoter_ids: Sequence[str]
) -> dict[str, BankDetails]:
    """Bank details by promoter; raises as `load_payees` does."""
    return {key: payee.details for key, payee in load_payees(conn, keys, promoter_ids).items()}


def list_payees(conn: Connection, promoter_ids: Sequence[str] | None = None) -> list[MaskedPayee]:
    """Payees as they may be shown, by promoter; without `promoter_ids` all of them."""
    with conn.cursor(row_factory=class_row(MaskedPayee)) as cursor:
        cursor.execute(
            f"SELECT {', '.join(MaskedPayee.__struct_fields__)} FROM payees_masked"  # noqa: S608
            " WHERE %(ids)s::text[] IS NULL OR promoter_id = ANY (%(ids)s) ORDER BY promoter_id",
            {"ids": None if promoter_ids is None else list(promoter_ids)},
        )
        return cursor.fetchall()


def show_payee(conn: Connection, promoter_id: str) -> tuple[MaskedPayee, list[PayeeChange]]:
    """A payee and what was changed about it, oldest first.

    Raises:
        PayeeError: the promoter has none.
    """
    found = list_payees(conn, [promoter_id])
    if not found:
        raise PayeeError(f"promoter {promoter_id!r} has no payee: see `viewledger payees list`")
    with conn.cursor(row_factory=class_row(PayeeChange)) as cursor:
        cursor.execute(
            f"SELECT {', '.join(PayeeChange.__struct_fields__)} FROM payee_changes"  # noqa: S608
            " WHERE promoter_id = %s ORDER BY change_id",
            (promoter_id,),
        )
        return found[0], cursor.fetchall()


def verify_payee(
    conn: Connection, promoter_id: str, *, actor: str, version: int | None = None
) -> MaskedPayee:
    """Notes that `actor` has verified a payee, and returns what was verified.

    Args:
        version: the one that was looked at; refused if it has changed since.

    Raises:
        PayeeError: no such payee, verified already, changed since, or `actor` changed it.
    """
    check_actor(actor)
    with conn.transaction():
        conn.execute("SELECT FROM payees WHERE promoter_id = %s FOR UPDATE", (promoter_id,))
        payee, _ = show_payee(conn, promoter_id)
        if payee.verified_by is not None:
            raise PayeeError(f"{promoter_id!r} is verified already, by {payee.verified_by!r}")
        if version not in (None, payee.version):
            raise PayeeError(
                f"{promoter_id!r} is at version {payee.version} and not {version}: it was "
                "changed since you looked; look again"
            )
        try:
            with conn.transaction():
                conn.execute(
                    "UPDATE payees SET verified_by = %s WHERE promoter_id = %s",
                    (actor, promoter_id),
                )
        except CheckViolation as error:
            if error.diag.constraint_name != "four_eyes":
                raise
            raise PayeeError(
                f"{actor!r} changed {promoter_id!r} since it was last verified, so another person "
                "must verify it"
            ) from None
        (verified,) = list_payees(conn, [promoter_id])
        return verified


def check_actor(actor: str) -> None:
    """Raises PayeeError where a name is not one that can be kept."""
    if not (1 <= len(actor) <= 64 and actor.isprintable() and actor == actor.strip()):
        raise PayeeError(
            f"actor is {actor[:80]!r}; it must be 1 to 64 printable characters, "
            "no spaces around them"
        )


def aad(promoter_id: str, method: str) -> bytes:
    """What sealed bank details belong to."""
    return msgspec.json.encode(["payee", promoter_id, method])


def _rows(
    conn: Connection, promoter_ids: Sequence[str], *, lock: bool = False
) -> list[dict[str, Any]]:
    found = conn.execute(
        f"SELECT {', '.join(_COLUMNS)} FROM payees WHERE promoter_id = ANY (%s)"  # noqa: S608
        f" ORDER BY promoter_id {'FOR UPDATE' if lock else ''}",
        (list(promoter_ids),),
    )
    return [dict(zip(_COLUMNS, row, strict=True)) for row in found]


def _open(keys: Mapping[str, SecretBytes], row: dict[str, Any]) -> Payee:
    promoter_id = row["promoter_id"]
    try:
        text = unseal(keys, row["key_id"], row["sealed"], aad(promoter_id, row["method"]))
        details: BankDetails = msgspec.json.decode(text, type=BankDetails)
    except SealError as error:
        raise SealError(f"bank details of {promoter_id!r}: {error}") from None
    except msgspec.DecodeError:
        raise SealError(f"bank details of {promoter_id!r}: another program wrote them") from None
    if mask(details) != row["masked"]:
        raise SealError(f"payee {promoter_id!r} is shown as another account than the sealed one")
    return Payee(
        promoter_id=promoter_id,
        legal_name=row["legal_name"],
        address=Address(**{name: row[name] for name in _ADDRESS}),
        currency=row["currency"],
        details=details,
        tax_form=row["tax_form"],
        backup_withholding=row["backup_withholding"],
    )


def _upsert(
    conn: Connection, payees: list[Payee], sealed: Mapping[str, Sealed], actor: str
) -> None:
    rows = []
    for payee in sorted(payees, key=lambda payee: payee.promoter_id):
        row = {
            "promoter_id": payee.promoter_id,
            "legal_name": payee.legal_name,
            **msgspec.structs.asdict(payee.address),
            "currency": payee.currency,
            "method": payee.method,
            "sealed": sealed[payee.promoter_id].blob,
            "key_id": sealed[payee.promoter_id].key_id,
            "masked": mask(payee.details),
            "tax_form": payee.tax_form,
            "backup_withholding": payee.backup_withholding,
            "updated_by": actor,
        }
        rows.append([row[name] for name in _COLUMNS])
    conn.cursor().executemany(
        f"""
        INSERT INTO payees ({", ".join(_COLUMNS)}) VALUES ({", ".join(["%s"] * len(_COLUMNS))})
        ON CONFLICT (promoter_id) DO UPDATE SET
            {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])}
        """,  # noqa: S608
        rows,
    )


def _refuse_strangers(conn: Connection, wanted: Iterable[str]) -> None:
    rows = conn.execute(
        "SELECT wanted FROM unnest(%s::text[]) AS wanted"
        " WHERE NOT EXISTS (SELECT FROM promoters WHERE promoter_id = wanted) ORDER BY wanted",
        (list(wanted),),
    )
    _refuse([f"{name}: no such promoter; import it first" for (name,) in rows])


def _refuse(problems: list[str]) -> None:
    if problems:
        more = [f"… and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise PayeeError("\n  ".join(["nothing was saved", *problems[:_SHOWN], *more]))
