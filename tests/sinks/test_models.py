import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.chosen import Chosen, Pin
from sinks.catalogue import catalogue_version, load_catalogue
from sinks.models import (
    ModelsError,
    add_shadow,
    chosen_after,
    load_changes,
    load_chosen,
    promote,
    remove_shadow,
    rollback,
)
from sinks.postgres import Connection

pytestmark = pytest.mark.services

PINS = [Pin(f"model-{n % 2}", f"{n:064x}") for n in range(3)]  # the first and third share a name


@pytest.fixture(autouse=True)
def _from_nothing(session_conn: Connection) -> None:
    undo(session_conn)


def undo(conn: Connection) -> None:
    while champions := load_chosen(conn).champions:
        rollback(conn, champions[0], actor="test")
    for pin in load_chosen(conn).shadows:
        remove_shadow(conn, pin.name, actor="test")


steps = st.lists(
    st.tuples(st.sampled_from(["promote", "rollback", "shadow", "unshadow"]), st.sampled_from(PINS))
)


@given(steps)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_promotions_are_a_stack_and_shadows_a_set(
    session_conn: Connection, asked: list[tuple[str, Pin]]
) -> None:
    undo(session_conn)
    stack: list[Pin] = []
    watching: dict[str, Pin] = {}
    for action, pin in asked:
        before = catalogue_version(session_conn), len(load_changes(session_conn))
        try:
            if action == "promote":
                promote(session_conn, pin, "v", actor="ann")
                assert stack[-1:] != [pin]
                stack.append(pin)
            elif action == "rollback":
                rollback(session_conn, pin, actor="ann")
                assert stack.pop() == pin
            elif action == "shadow":
                add_shadow(session_conn, pin, "v", actor="ann")
                assert watching.get(pin.name) != pin
                watching[pin.name] = pin
            else:
                remove_shadow(session_conn, pin.name, actor="ann")
                del watching[pin.name]
        except ModelsError:
            assert (catalogue_version(session_conn), len(load_changes(session_conn))) == before
            refused = {
                "promote": stack[-1:] == [pin],
                "rollback": stack[-1:] != [pin],
                "shadow": watching.get(pin.name) == pin,
                "unshadow": pin.name not in watching,
            }
            assert refused[action]
        else:
            assert catalogue_version(session_conn) > before[0]  # so that scorers look
        found = load_chosen(session_conn)
        assert found.champions == tuple(reversed(stack))
        assert dict(found.shadows) == {pin.name: pin.sha256 for pin in watching.values()}


def test_the_catalogue_has_what_is_chosen(conn: Connection) -> None:
    promote(conn, PINS[0], "v1", actor=" ann ", note=" better ")
    add_shadow(conn, PINS[1], "v2", actor="ben")
    first, last = load_changes(conn)[-2:]
    expected = Chosen((PINS[0],), (PINS[1],), last.change_id)
    assert load_catalogue(conn).models == expected
    assert (first.action, first.version, first.actor, first.note) == (
        "promote", "v1", "ann", "better",
    )  # fmt: skip


def test_two_who_roll_back_at_once_do_it_once(conn: Connection) -> None:
    promote(conn, PINS[0], "v1", actor="ann")
    promote(conn, PINS[1], "v2", actor="ann")
    rollback(conn, PINS[1], actor="ann")
    with pytest.raises(ModelsError, match="'model-1' is not the champion any more"):
        rollback(conn, PINS[1], actor="ben")
    assert load_chosen(conn).champions == (PINS[0],)


@pytest.mark.parametrize("actor", ["", "  "])
def test_somebody_has_to_be_named(conn: Connection, actor: str) -> None:
    with pytest.raises(ModelsError, match="--by"):
        promote(conn, PINS[0], "v1", actor=actor)


def test_an_unknown_shadow_says_what_there_is(conn: Connection) -> None:
    add_shadow(conn, PINS[1], "v2", actor="ben")
    with pytest.raises(ModelsError, match="'other' is no shadow; there is model-1"):
        remove_shadow(conn, "other", actor="ben")


def test_the_history_cannot_be_changed(conn: Connection) -> None:
    promote(conn, PINS[0], "v1", actor="ann")
    for sql in ("UPDATE model_changes SET actor = 'ben'", "DELETE FROM model_changes"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(sql)


def test_nothing_comes_to_nothing() -> None:
    assert chosen_after([]) == Chosen()
