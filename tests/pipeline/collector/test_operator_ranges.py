"""Address ranges of the operator's, applied before an address is hashed."""

import asyncio
import secrets

import pytest

from pipeline.collector.operator_ranges import OperatorRanges
from pipeline.collector.privacy import Privacy
from schemas.settings import Settings
from sinks.operator_lists import add_entry, remove_entry
from sinks.postgres import connect

NOW = 1_790_000_000_000


@pytest.mark.services
def test_a_hashed_address_says_what_the_operator_says_of_it(stack: Settings) -> None:
    block = f"2001:db8:{secrets.token_hex(2)}"
    privacy = Privacy(stack)
    asyncio.run(privacy.refresh())
    address = f"{block}:7::1"
    assert privacy.origin_of(address, NOW).network == "other"
    with connect(stack) as conn:
        who = {"why": "ticket 12", "actor": "ada"}
        wide = add_entry(conn, "deny", "ip", f"{block}::/48", **who)
        narrow = add_entry(conn, "allow", "ip", f"{block}:7::/64", **who)
        asyncio.run(privacy.refresh())
        origin = privacy.origin_of(address, NOW)
        assert (origin.ip, origin.network) == (None, "allowed")
        assert privacy.origin_of(f"{block}:8::1", NOW).network == "denied"
        remove_entry(conn, narrow.entry_id, **who)
        asyncio.run(privacy.refresh())
        assert privacy.origin_of(address, NOW).network == "denied"
        remove_entry(conn, wide.entry_id, **who)
        asyncio.run(privacy.refresh())
        assert privacy.origin_of(address, NOW).network == "other"


@pytest.mark.services
def test_it_goes_on_with_what_it_has_while_postgres_is_away(stack: Settings) -> None:
    address = f"2001:db8:{secrets.token_hex(2)}::1"
    found = OperatorRanges(stack)
    with connect(stack) as conn:
        entry = add_entry(conn, "deny", "ip", address, why="ticket 12", actor="ada")
        assert asyncio.run(found.refresh())
        assert not asyncio.run(found.refresh())
        found._settings = stack.model_copy(update={"postgres": "postgresql://127.0.0.1:1/x"})
        assert not asyncio.run(found.refresh())
        assert found.class_of(address) == "denied"
        remove_entry(conn, entry.entry_id, why="no", actor="ada")


def test_without_postgres_nothing_is_said(tmp_path: object) -> None:
    found = OperatorRanges(Settings(data=str(tmp_path)))  # type: ignore[arg-type]
    assert not asyncio.run(found.refresh())
    assert found.class_of("84.128.1.1") is None
