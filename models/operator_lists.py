"""The operator's own lists against a block: who is allowed and who is denied.

Of address ranges the narrowest one decides; where entries of several kinds say something of a
view, deny goes first. What an allow entry lifts is what lists say (`LIFTED`): neither impossible
values nor the model, since an entry is one person's word and would pay whatever a farm sends.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.batch import Batch
from models.hashing import Keys, text_key
from models.lists import said_by_collector
from models.networks import CODES
from models.ranges import NOWHERE, Codes, Ranges, parse_range
from schemas.operator_lists import Action, Entity, ListEntry, OperatorLists
from schemas.verdicts import Reason

Reasons = npt.NDArray[np.uint32]

ALLOW, DENY = 1, 2
_CODES: dict[Action, int] = {"allow": ALLOW, "deny": DENY}
LIFTED = Reason.DECLARED_BOT.bit | Reason.DATACENTER_ADDRESS.bit | Reason.TOR_ADDRESS.bit


class Named(NamedTuple):
    """Entities by their keys."""

    keys: Keys
    """Ascending."""
    codes: Codes

    def codes_of(self, keys: Keys) -> Codes:
        """What is said of each of n entities, uint8[n]; 0 for nothing."""
        if not len(self.keys):
            return np.zeros(len(keys), np.uint8)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.codes[place], np.uint8(0))


class Operator(NamedTuple):
    """The operator's lists, ready to be looked into."""

    version: int
    ranges: Ranges
    viewers: Named
    devices: Named
    promoters: Named
    until: float
    """When the next entry expires, in seconds since 1970."""
    entries: int


def operator_of(lists: OperatorLists, now: float) -> Operator:
    """The entries that are in force at `now`, in seconds since 1970."""
    ends = [math.inf if e.expires_at is None else e.expires_at.timestamp() for e in lists.entries]
    live = [one for one, end in zip(lists.entries, ends, strict=True) if end > now]
    return Operator(
        version=lists.version,
        ranges=ranges_of([one for one in live if one.entity == "ip"]),
        viewers=_named(live, "viewer"),
        devices=_named(live, "device"),
        promoters=_named(live, "promoter"),
        until=min((end for end in ends if end > now), default=math.inf),
        entries=len(live),
    )


def ranges_of(entries: list[ListEntry]) -> Ranges:
    """What entries of address ranges say of each address: the narrowest, and deny of two equal."""
    found = [(*parse_range(one.value), _CODES[one.action]) for one in entries]
    return Ranges.of(sorted(found, key=lambda one: (one[0] - one[1], one[2])))


def _named(entries: list[ListEntry], entity: Entity) -> Named:
    found: dict[int, int] = {}
    for one in entries:
        if one.entity == entity:
            key = int(one.value, 16) if entity == "device" else text_key(one.value)
            found[key] = max(found.get(key, 0), _CODES[one.action])
    rows = sorted(found.items())
    return Named(
        np.array([key for key, _ in rows], np.uint64), np.array([c for _, c in rows], np.uint8)
    )


_NOBODY = Named(np.empty(0, np.uint64), np.empty(0, np.uint8))
NO_ENTRIES = Operator(0, NOWHERE, _NOBODY, _NOBODY, _NOBODY, math.inf, 0)


def overrule(operator: Operator, givt: Reasons, batch: Batch) -> Reasons:
    """The reasons of n views after the operator's word, uint32[n].

    Args:
        givt: bits of `Reason` by the other lists; is not changed.
    """
    said = said_by_collector(batch)
    allowed, denied = said == CODES["allowed"], said == CODES["denied"]
    if operator.entries:
        for codes in (
            operator.ranges.codes_of(batch.address),
            operator.viewers.codes_of(batch.viewer),
            operator.devices.codes_of(batch.device),
            operator.promoters.codes_of(batch.promoter),
        ):
            allowed |= codes == ALLOW
            denied |= codes == DENY
    reasons: Reasons = np.where(allowed & ~denied, givt & ~np.uint32(LIFTED), givt)
    reasons |= denied.astype(np.uint32) * np.uint32(Reason.OPERATOR_DENIED.bit)
    return reasons
