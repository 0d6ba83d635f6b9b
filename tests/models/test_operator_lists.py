"""Who goes first where several lists say something of a view."""

from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.traffic import Event, batch_of, view

from models.address import address_of
from models.batch import Batch, devices_of
from models.lists import givt_reasons, load_lists
from models.operator_lists import ALLOW, DENY, Operator, operator_of, overrule, ranges_of
from schemas.columns import columns_of
from schemas.operator_lists import Action, Entity, ListEntry, OperatorLists
from schemas.verdicts import reason_labels

NOW = 1_790_000_000.0
FIELDS = {
    "ip": "203.0.113.7",
    "viewer_id": "viewer-0001",
    "promoter_id": "p-1",
    "user_agent": "curl/8.0",
    "screen": "390x844",
    "language": "en-GB",
    "tz_offset_min": 60,
}


def batch(**fields: object) -> Batch:
    return batch_of([Event(view(**FIELDS | fields), int(NOW * 1e3), int(NOW * 1e3))])


DEVICE = f"{int(batch().device[0]):016x}"
VALUES: dict[Entity, str] = {
    "ip": "203.0.113.0/24",
    "viewer": "viewer-0001",
    "promoter": "p-1",
    "device": DEVICE,
}


def operator(*entries: tuple[Action, Entity]) -> Operator:
    found = [ListEntry(action, entity, VALUES[entity]) for action, entity in entries]
    return operator_of(OperatorLists(1, tuple(found)), NOW)


def reasons(of: Operator, **fields: object) -> list[str]:
    found = batch(**fields)
    return reason_labels(int(overrule(of, givt_reasons(load_lists(), found), found)[0]))


ENTITIES: list[Entity] = ["ip", "device", "viewer", "promoter"]


@pytest.mark.parametrize("entity", ENTITIES)
def test_deny_is_a_reason_of_its_own_beside_the_others(entity: Entity) -> None:
    assert reasons(operator(("deny", entity))) == ["declared_bot", "operator_denied"]


@pytest.mark.parametrize("entity", ENTITIES)
def test_allow_lifts_what_lists_say(entity: Entity) -> None:
    of = operator(("allow", entity))
    assert reasons(of) == []
    assert reasons(of, network="datacenter") == []
    assert reasons(of, network="tor") == []


@pytest.mark.parametrize("entity", ENTITIES)
def test_allow_does_not_lift_what_cannot_be(entity: Entity) -> None:
    assert reasons(operator(("allow", entity)), watch_ms=99, duration_ms=1) == ["impossible_values"]


@pytest.mark.parametrize(("one", "other"), list(product(ENTITIES, ENTITIES)))
def test_deny_goes_before_allow(one: Entity, other: Entity) -> None:
    found = reasons(operator(("allow", one), ("deny", other)))
    assert found == ["declared_bot", "operator_denied"]


@pytest.mark.parametrize(
    ("said", "entries", "expected"),
    [
        ("denied", [], ["declared_bot", "operator_denied"]),
        ("allowed", [], []),
        ("denied", [("allow", "viewer")], ["declared_bot", "operator_denied"]),
        ("allowed", [("deny", "promoter")], ["declared_bot", "operator_denied"]),
    ],
)
def test_what_the_collector_said_of_an_address_it_hashed(
    said: str, entries: list[tuple[Action, Entity]], expected: list[str]
) -> None:
    hashed = {"ip": None, "ip_hash": "00112233445566aa", "network": said}
    assert reasons(operator(*entries), **hashed) == expected


@pytest.mark.parametrize(
    "other",
    [
        {"viewer_id": "viewer-0002"},
        {"promoter_id": "p-2"},
        {"ip": "203.0.114.7"},
        {"ip": None},
        {"ip": "2001:db8::1"},
        {"language": "en"},
        {"screen": None},
        {"user_agent": None},
    ],
)
def test_others_are_left_alone(other: dict[str, object]) -> None:
    (name,) = other
    entity: Entity = {"viewer_id": "viewer", "promoter_id": "promoter", "ip": "ip"}.get(
        name, "device"
    )  # type: ignore[assignment]
    assert "operator_denied" not in reasons(operator(("deny", entity)), **other)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**10 - 1).map(lambda near: ip_address(0xCB007000 + near)),
            st.integers(20, 32),
            st.sampled_from(["allow", "deny"]),
        ),
        max_size=10,
    ),
    st.lists(st.integers(0, 2**10 - 1), min_size=1, max_size=20),
)
def test_of_ranges_the_narrowest_decides(drawn: list, asked: list[int]) -> None:  # type: ignore[type-arg]
    networks = [(ip_network((str(ip), bits), strict=False), action) for ip, bits, action in drawn]
    ranges = ranges_of([ListEntry(action, "ip", str(network)) for network, action in networks])
    addresses = [ip_address(0xCB007000 + near) for near in asked]
    numbers = np.array([address_of(str(one)) for one in addresses], np.uint64)
    for address, code in zip(addresses, ranges.codes_of(numbers).tolist(), strict=True):
        holding = [(net.prefixlen, action) for net, action in networks if address in net]
        narrowest = max((bits for bits, _ in holding), default=0)
        words = {action for bits, action in holding if bits == narrowest}
        assert code == (DENY if "deny" in words else ALLOW if words else 0)


def test_an_entry_ends_when_it_expires() -> None:
    soon = datetime.fromtimestamp(NOW + 60, UTC)
    lists = OperatorLists(3, (ListEntry("deny", "viewer", "viewer-0001", soon),))
    before, after = (operator_of(lists, NOW + late) for late in (59, 60))
    assert before.until == NOW + 60
    assert "operator_denied" in reasons(before)
    assert "operator_denied" not in reasons(after)
    assert (after.until, after.version) == (float("inf"), 3)


def test_many_entries_of_each_kind() -> None:
    viewers = [f"viewer-{number:04}" for number in range(500)]
    entries = [ListEntry("deny", "viewer", one) for one in viewers[::2]]
    of = operator_of(OperatorLists(1, tuple(entries)), NOW)
    found = batch_of([Event(view(viewer_id=one), 0, 0) for one in viewers])
    denied = overrule(of, np.zeros(500, np.uint32), found) != 0
    assert denied.tolist() == [True, False] * 250


def test_devices_are_what_they_were() -> None:
    # They stand in the lists of operators.
    columns = columns_of([view(**FIELDS)])
    names = ("user_agent", "screen", "language", "tz_offset_min")
    assert f"{int(devices_of(*(columns[name] for name in names))[0]):016x}" == "a5bdb482ca6c5126"
