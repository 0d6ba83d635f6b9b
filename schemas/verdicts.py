"""How a view can be judged, and why an event can be refused.

The numbers are written to `views.scored` for ever: add new ones at the end, never renumber.
"""

from enum import IntEnum
from typing import Literal

ReasonKind = Literal["policy", "givt", "sivt", "unavailable"]
_KINDS: tuple[ReasonKind, ...] = ("policy", "givt", "sivt", "unavailable")
"""Of the bits 0 to 7, 8 to 15 and so on."""


class Verdict(IntEnum):
    """What an accepted view is worth. Only `VALID` is paid."""

    VALID = 1
    UNQUALIFIED = 2
    """A person, but the view policy does not pay it (too short, hidden, a repeat)."""
    INVALID = 3
    """Not a person: general or sophisticated invalid traffic."""
    HELD = 4
    """Could not be judged (model, Redis or a list was missing); settlement decides."""


class Reason(IntEnum):
    """Why a view is not `VALID`: bit numbers of the `reasons` column (uint32)."""

    BELOW_MIN_WATCH = 0
    BELOW_MIN_VISIBLE = 1
    REPEAT_VIEW = 2
    DECLARED_BOT = 8
    DATACENTER_ADDRESS = 9
    IMPOSSIBLE_VALUES = 10
    TOR_ADDRESS = 11
    OPERATOR_DENIED = 12
    MODEL_SCORE = 16
    MODEL_UNAVAILABLE = 24
    VELOCITY_UNAVAILABLE = 25
    LISTS_UNAVAILABLE = 26

    @property
    def bit(self) -> int:
        """The reason as a mask of one bit."""
        return 1 << self.value

    @property
    def kind(self) -> ReasonKind:
        """General or sophisticated invalid traffic, the view policy, or not to be judged."""
        return _KINDS[self.value // 8]


class Refusal(IntEnum):
    """Why an event was not accepted. All but `DUPLICATE` go to `views.rejected`."""

    DUPLICATE = 1
    EMPTY_VALUE = 2
    TOO_LARGE = 3
    INVALID_UTF8 = 4
    NOT_JSON = 5
    NOT_A_NUMBER = 6
    """NaN or Infinity, which JSON does not have."""
    TOO_DEEP = 7
    NOT_AN_OBJECT = 8
    UNKNOWN_SCHEMA = 9
    MISSING_FIELD = 10
    WRONG_TYPE = 11
    OUT_OF_RANGE = 12
    INVALID_ID = 13
    """An id of the wrong length or with characters that ids do not have."""
    UNKNOWN_PLATFORM = 14
    MISSING_KEY = 15
    KEY_MISMATCH = 16
    """The message key is not the `viewer_id`."""
    UNKNOWN_CAMPAIGN = 17
    UNKNOWN_PROMOTER = 18
    CAMPAIGN_NOT_STARTED = 19
    CAMPAIGN_ENDED = 20
    CAMPAIGN_PAUSED = 21
    PROMOTER_SUSPENDED = 22
    TOO_LATE = 23
    IN_FUTURE = 24

    @property
    def label(self) -> str:
        """The name in headers, metrics, tables and on the command line."""
        return self.name.lower()


def reason_labels(mask: int) -> list[str]:
    """The names of the reasons that `mask` (bits of `Reason`) holds, in bit order."""
    return [reason.name.lower() for reason in Reason if mask & reason.bit]
