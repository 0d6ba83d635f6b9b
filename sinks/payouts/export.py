"""Exporting: the bank file of an approved batch, made once and kept, sealed."""

import hashlib
from datetime import date
from typing import NamedTuple

from schemas.payout import BatchFile, Payer, Transfer
from schemas.seal_keys import Keys
from sinks.bank_files.formats import FORMATS, refusals
from sinks.payees import load_payees
from sinks.payouts.approve import check_payees
from sinks.payouts.batch import Batch, Line, PayoutError, act_as, load_batch, move_lines
from sinks.postgres import Connection, retry_conflicts
from sinks.sealing import seal, unseal
from sinks.settle import lock_payouts

_SHOWN = 10


class ExportedFile(NamedTuple):
    """A file for the bank."""

    name: str
    sha256: str
    content: bytes


@retry_conflicts
def export(
    conn: Connection,
    keys: Keys,
    payer: Payer,
    batch_id: int,
    format_name: str,
    execution_date: date,
    *,
    actor: str,
) -> list[ExportedFile]:
    """The files of a batch. The first time they are made and stored; afterwards they are read.

    Raises:
        PayoutError: the batch is not approved, was exported in another format, or has lines that
            the format cannot carry.
    """
    if format_name not in FORMATS:
        raise PayoutError(f"there is no format {format_name!r}: {', '.join(FORMATS)}")
    with conn.transaction():
        lock_payouts(conn)
        act_as(conn, actor)
        batch = load_batch(conn, batch_id, lock=True)
        if batch.status in ("exported", "closed"):
            if batch.format != format_name:
                raise PayoutError(
                    f"batch {batch_id} was exported as {batch.format}: two files would pay twice"
                )
            return stored_files(conn, keys, batch_id)
        if batch.status != "approved":
            raise PayoutError(f"batch {batch_id} is {batch.status}: it has to be approved first")
        lines = [line for line in batch.lines if line.status == "approved"]
        check_payees(conn, batch, lines)
        files = _make(conn, keys, payer, batch, lines, format_name, execution_date)
        for part, file in enumerate(files, 1):
            sealed = seal(keys, file.content, _bound_to(batch_id, part))
            conn.execute(
                "INSERT INTO payout_files (batch_id, part, name, sha256, key_id, sealed)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (batch_id, part, file.name, file.sha256, sealed.key_id, sealed.blob),
            )
        move_lines(conn, [line.line_id for line in lines], "exported")
        conn.execute(
            "UPDATE payout_batches SET status = 'exported', format = %s, execution_date = %s,"
            " exported_by = %s, exported_at = now() WHERE batch_id = %s",
            (format_name, execution_date, actor.strip(), batch_id),
        )
    return files


def stored_files(conn: Connection, keys: Keys, batch_id: int) -> list[ExportedFile]:
    """The files of an exported batch, byte for byte.

    Raises:
        PayoutError: a file is not what was stored.
    """
    found = []
    for part, name, sha256, key_id, blob in conn.execute(
        "SELECT part, name, sha256, key_id, sealed FROM payout_files WHERE batch_id = %s"
        " ORDER BY part",
        (batch_id,),
    ):
        content = unseal(keys, key_id, blob, _bound_to(batch_id, part))
        if hashlib.sha256(content).hexdigest() != sha256:
            raise PayoutError(f"file {name} of batch {batch_id} has not the SHA-256 {sha256}")
        found.append(ExportedFile(name, sha256, content))
    return found


def _make(
    conn: Connection,
    keys: Keys,
    payer: Payer,
    batch: Batch,
    lines: list[Line],
    format_name: str,
    execution_date: date,
) -> list[ExportedFile]:
    payees = load_payees(conn, keys, [line.promoter_id for line in lines])
    transfers = [
        Transfer(
            line_id=line.line_id,
            end_to_end_id=line.end_to_end_id,
            promoter_id=line.promoter_id,
            name=payees[line.promoter_id].legal_name,
            address=payees[line.promoter_id].address,
            details=payees[line.promoter_id].details,
            amount_minor=line.amount_minor,
            currency=batch.currency,
            remittance=f"Payout {batch.batch_id} {line.end_to_end_id}",
        )
        for line in lines
    ]
    refused = refusals(format_name, transfers)
    if refused:
        shown = [f"line {line_id}: {why}" for line_id, why in list(refused.items())[:_SHOWN]]
        if len(refused) > _SHOWN:
            shown.append(f"… and {len(refused) - _SHOWN} more")
        raise PayoutError(
            f"{format_name} cannot carry these lines of batch {batch.batch_id}; cancel "
            "them or take another format\n  " + "\n  ".join(shown)
        )
    (now_ms,) = conn.execute("SELECT (extract(epoch FROM now()) * 1000)::bigint").fetchall()[0]
    chosen = FORMATS[format_name]
    try:
        contents = chosen.write(
            BatchFile(
                batch_id=batch.batch_id,
                created_at_ms=now_ms,
                execution_date=execution_date,
                payer=payer,
                transfers=transfers,
            )
        )
    except ValueError as error:
        raise PayoutError(f"batch {batch.batch_id} as {format_name}: {error}") from None
    names = [f"payout-{batch.batch_id}{chosen.suffix}"]
    if len(contents) > 1:
        names = [f"payout-{batch.batch_id}-{n}{chosen.suffix}" for n in range(1, len(contents) + 1)]
    return [
        ExportedFile(name, hashlib.sha256(content).hexdigest(), content)
        for name, content in zip(names, contents, strict=True)
    ]


def _bound_to(batch_id: int, part: int) -> bytes:
    return f"payout file {batch_id}/{part}".encode()
