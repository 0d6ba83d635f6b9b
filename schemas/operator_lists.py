"""The operator's own lists: who is let through the lists that come along, and who is refused."""

from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

Action = Literal["allow", "deny"]
Entity = Literal["ip", "device", "viewer", "promoter"]


class ListEntry(msgspec.Struct, frozen=True):
    """An entry that is in force until it expires."""

    action: Action
    entity: Entity
    value: str
    """A CIDR range, 16 hex digits of `models.batch.device_of`, or an id."""
    expires_at: datetime | None = None


class OperatorLists(NamedTuple):
    """All entries as of one moment."""

    version: int = 0
    """Raised by every change."""
    entries: tuple[ListEntry, ...] = ()
