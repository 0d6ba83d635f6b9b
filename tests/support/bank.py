"""A bank that carries out every pain.001 it is given, and answers; it keeps its own books."""

import random
from collections import Counter
from itertools import count
from pathlib import Path

from lxml import etree
from support.bank_replies import booking, detail, payment_status, statement, status_report
from support.bank_replies import transfer_status as status

_RETURN = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"


class Bank:
    """Knows of payouts only what is in the files."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.files: set[bytes] = set()
        self.lines: dict[str, tuple[str, str]] = {}
        """Name of the payee and amount, by end-to-end id."""
        self.twice: list[str] = []
        """End-to-end ids that came in more than one file."""
        self.paid: Counter[str] = Counter()
        """Cents by name of the payee."""
        self._numbers = count(1)
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, content: bytes) -> list[str]:
        """Takes a file; the end-to-end ids in it. The very same file again is no new one."""
        if content in self.files:
            return []
        self.files.add(content)
        found = {}
        for transfer in etree.fromstring(content).iter("{*}CdtTrfTxInf"):
            reference = str(transfer.findtext(".//{*}EndToEndId"))
            amount, name = transfer.findtext(".//{*}InstdAmt"), transfer.findtext("{*}Cdtr/{*}Nm")
            found[reference] = (str(name), str(amount))
        self.twice += found.keys() & self.lines.keys()
        self.lines |= found
        return list(found)

    def answers(self, references: list[str], fates: str = "") -> list[Path]:
        """Pays most, rejects some, gets some back and forgets some; the files that say so.

        `fates` decides instead of chance: a letter p, r, b or n for each.
        """
        drawn = fates or self.random.choices("prbn", [75, 10, 10, 5], k=len(references))
        kinds = dict(zip(references, drawn, strict=True))
        paid = [one for one, kind in kinds.items() if kind in "pb"]
        back = [one for one, kind in kinds.items() if kind == "b"]
        rejected = [one for one, kind in kinds.items() if kind == "r"]
        for one in paid:
            self._pay(one, 1)
        for one in back:
            self._pay(one, -1)
        booked = [booking(self.lines[one][1], detail(one)) for one in paid]
        returned = [
            booking(self.lines[one][1], detail(one, _RETURN), direction="CRDT") for one in back
        ]
        half = len(booked) // 2
        told = [
            status_report(payments=payment_status("".join(status(one, "RJCT") for one in rejected)))
            if rejected
            else b"",
            statement(*booked[:half]) if half else b"",
            # The next day's statement has some of the day before again.
            statement(*booked[half // 2 :]) if booked else b"",
            statement(*returned) if returned else b"",
        ]
        return [self._write(content) for content in told if content]

    def _pay(self, reference: str, times: int) -> None:
        name, amount = self.lines[reference]
        self.paid[name] += times * int(amount.replace(".", ""))

    def _write(self, content: bytes) -> Path:
        path = self.folder / f"answer-{next(self._numbers)}.xml"
        path.write_bytes(content)
        return path
