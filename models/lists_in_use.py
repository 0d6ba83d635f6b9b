"""The lists that a judge looks into, kept as the operator's files and tables are."""

import asyncio
import re
import time
from typing import Self

import numpy as np
import numpy.typing as npt
import structlog

from models.batch import Batch
from models.list_files import ListFile, read_patterns
from models.lists import Lists, givt_reasons, lists_of
from models.networks import Networks
from models.operator_lists import NO_ENTRIES, operator_of, overrule
from schemas.metrics import LIST_ENTRIES
from schemas.operator_lists import OperatorLists
from schemas.settings import Settings

log = structlog.get_logger()

Reasons = npt.NDArray[np.uint32]
_MAX_AGE_S = 5.0


class ListsInUse:
    """Lists of files, looked at every few seconds, and the entries of the operator."""

    def __init__(
        self, networks: Networks, crawlers: ListFile[tuple[re.Pattern[str], ...]] | None = None
    ) -> None:
        """Reads what is there. While a file was never readable there are no lists at all."""
        self._networks, self._crawlers = networks, crawlers
        self._lists: Lists | None = None
        self._table, self._operator = OperatorLists(), NO_ENTRIES
        if crawlers is not None:
            crawlers.reload()
        self._compile()
        self._checked = time.monotonic()
        if self._lists is None:
            log.error("views are held: no lists")

    @classmethod
    def of_settings(cls, settings: Settings) -> Self:
        """Those of the settings."""
        path = settings.crawler_list
        crawlers = None if path is None else ListFile("crawlers", path, read_patterns)
        return cls(Networks.of_settings(settings), crawlers)

    @property
    def version(self) -> str | None:
        """Of all of them together; None while there are none."""
        if self._lists is None:
            return None
        return f"{self._lists.version}+operator-{self._operator.version}"

    async def follow(self, table: OperatorLists) -> None:
        """Takes over what was changed in files and in the table; called before each block.

        Args:
            table: of the catalogue; one that is older than what is in use is left alone.
        """
        if time.monotonic() - self._checked > _MAX_AGE_S:
            self._checked = time.monotonic()
            if await asyncio.to_thread(self._reload):
                self._compile()
        now = time.time()
        if table.version > self._table.version or now >= self._operator.until:
            if table.version > self._table.version:
                self._table = table
            before, self._operator = self._operator, operator_of(self._table, now)
            if before.version:
                LIST_ENTRIES.remove("operator", str(before.version))
            LIST_ENTRIES.labels("operator", str(self._operator.version)).set(self._operator.entries)

    def reasons(self, batch: Batch) -> tuple[Reasons, bool]:
        """Bits of `schemas.verdicts.Reason` for each of n views, uint32[n]; and whether there were
        lists. Without them whoever is denied by the operator still is.
        """
        lists = self._lists
        givt = (
            np.zeros(len(batch.viewer), np.uint32) if lists is None else givt_reasons(lists, batch)
        )
        return overrule(self._operator, givt, batch), lists is not None

    def _reload(self) -> bool:
        changed = self._networks.reload()
        return (self._crawlers is not None and self._crawlers.reload()) or changed

    def _compile(self) -> None:
        """Makes lists of what the files have; the old ones stay until every file was read."""
        patterns = None if self._crawlers is None else self._crawlers.content
        digits = None if self._crawlers is None else self._crawlers.version
        if self._networks.complete and (self._crawlers is None or patterns is not None):
            self._lists = lists_of(self._networks, patterns, digits)
