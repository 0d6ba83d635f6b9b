"""What may be kept of an event, by what its viewer said and what the operator has set.

`docs/privacy.md` has the table and the reasons.
"""

from typing import Literal

from msgspec import UNSET

from models.list_files import ListsError
from models.lists import load_lists
from schemas.settings import Settings
from schemas.view import View

Policy = Literal["keep", "strip", "drop"]

_POLICIES: dict[str, Policy] = {"ignore": "keep", "strip": "strip", "drop": "drop"}
_STRICTNESS = ("ignore", "strip", "drop")
_STRIPPED = (
    *("ip", "ip_hash", "ip_prefix_hash", "client_hints", "screen", "language"),
    *("tz_offset_min", "referrer"),
)


def policy(consent: str | None, do_not_track: bool, settings: Settings) -> Policy:
    """What is to be done with an event.

    Args:
        consent: of the event.
        do_not_track: whether the request had `DNT: 1` or `Sec-GPC: 1`.
    """
    if consent == "granted":
        # Said to this page about this purpose; the other one is a default for all pages.
        return "keep"
    wishes = [settings.no_consent] if consent == "denied" else []
    wishes += [settings.do_not_track] if do_not_track else []
    return _POLICIES[max(wishes, key=_STRICTNESS.index, default="ignore")]


def strip(event: View) -> None:
    """Takes out of an event what could tell people apart and is not needed to count it.

    Args:
        event: is changed. `network` stays, one of six words; and so does the user agent of a
            declared bot, which is no person's.
    """
    for name in _STRIPPED:
        setattr(event, name, None)
    event.attrs = UNSET
    if not _declared_bot(event.user_agent):
        event.user_agent = None


def _declared_bot(user_agent: str | None) -> bool:
    try:
        return bool(load_lists().declared[user_agent])
    except ListsError:
        return False
