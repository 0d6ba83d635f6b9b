"""The operator's own address ranges at the door, where addresses are still known.

Judging sees keyed hashes, which are in no range: so the collector says `allowed` or `denied` in
the event, in place of the class of the network.
"""

import asyncio

import numpy as np
import psycopg
import structlog

from models.address import address_of
from models.operator_lists import ALLOW, DENY, ranges_of
from models.ranges import NOWHERE
from schemas.metrics import LIST_BROKEN, LIST_ENTRIES
from schemas.operator_lists import OperatorLists
from schemas.settings import NotRunningError, Settings
from schemas.view import Network
from sinks.operator_lists import load_operator_lists
from sinks.postgres import connect

log = structlog.get_logger()

_WORDS: dict[int, Network] = {ALLOW: "allowed", DENY: "denied"}


class OperatorRanges:
    """Entries of address ranges. While Postgres is away it goes on with those it has."""

    def __init__(self, settings: Settings) -> None:
        """Knows none until `refresh`."""
        self._settings = settings
        self._ranges, self._version = NOWHERE, 0
        self._loaded = False

    def class_of(self, address: str) -> Network | None:
        """`allowed` or `denied`; None where no entry says anything of an address."""
        number = np.array([address_of(address)], np.uint64)
        return _WORDS.get(int(self._ranges.codes_of(number)[0]))

    async def refresh(self) -> bool:
        """Loads the entries that are in force; whether they are others. Never raises for what is
        missing.
        """
        try:
            found = await asyncio.to_thread(self._load)
        except (psycopg.Error, NotRunningError) as error:
            LIST_BROKEN.labels("operator").set(1)
            log.warning("the operator's lists were not refreshed", why=type(error).__name__)
            return False
        LIST_BROKEN.labels("operator").set(0)
        ranges = ranges_of([one for one in found.entries if one.entity == "ip"])
        changed = not (
            np.array_equal(ranges.start, self._ranges.start)
            and np.array_equal(ranges.code, self._ranges.code)
        )
        if found.version != self._version or not self._loaded:
            if self._loaded:
                LIST_ENTRIES.remove("operator", str(self._version))
            self._version, self._loaded = found.version, True
        entries = sum(one.entity == "ip" for one in found.entries)
        LIST_ENTRIES.labels("operator", str(found.version)).set(entries)
        self._ranges = ranges
        return changed

    def _load(self) -> OperatorLists:
        with connect(self._settings, "viewledger-collector") as conn, conn.transaction():
            conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return load_operator_lists(conn)
