"""Who pays: a JSON file that names the account payouts are made from."""

from pathlib import Path

import msgspec

from schemas.payee import Payee
from schemas.payout import Payer
from sinks.payee_check import check_payee
from sinks.payouts.batch import PayoutError


def load_payer(path: Path | None, currency: str) -> Payer:
    """Reads and checks the payer.

    Raises:
        PayoutError: there is no file, or it is wrong; the account itself is not repeated.
    """
    if path is None:
        raise PayoutError(
            "who pays is not known: give --payer FILE or set VIEWLEDGER_PAYER "
            "(docs/finance.md shows such a file)"
        )
    try:
        payer = msgspec.json.decode(path.read_bytes(), type=Payer)
    except OSError as error:
        raise PayoutError(f"payer file {path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise PayoutError(f"payer file {path}: {error}") from None
    # The same checks as for those who are paid.
    as_payee = Payee(
        promoter_id="payer",
        legal_name=payer.name,
        address=payer.address,
        currency=currency,
        details=payer.details,
    )
    problems = check_payee(as_payee).problems
    if problems:
        raise PayoutError(f"payer file {path}: " + "; ".join(problems))
    return payer
