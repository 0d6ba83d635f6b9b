import secrets
from collections.abc import Iterator

import psycopg
import pytest
from support.databases import with_database
from support.payees import new_keys, payee

from schemas.catalogue import Promoter
from schemas.payee import Payee
from schemas.seal_keys import Keys
from schemas.settings import Settings
from sinks import payee_rotate
from sinks.catalogue import save_promoters
from sinks.migrate import migrate_up
from sinks.payee_rotate import rotate_key
from sinks.payees import list_payees, load_payees, save_payees, show_payee, verify_payee
from sinks.postgres import Connection, connect
from sinks.sealing import SealError

pytestmark = pytest.mark.services
ALL = new_keys("c", "b", "a")


def keys(*ids: str) -> Keys:
    return {key_id: ALL[key_id] for key_id in ids}


@pytest.fixture
def own(stack: Settings) -> Settings:
    """A Postgres whose payees are those of one test."""
    url = with_database(stack.url("postgres"), f"payees_{secrets.token_hex(4)}")
    found = stack.model_copy(update={"postgres": url})
    migrate_up(found, ["postgres"])
    return found


@pytest.fixture
def conn(own: Settings) -> Iterator[Connection]:
    with connect(own) as conn:
        yield conn


def save(conn: Connection, how_many: int, with_keys: Keys) -> list[Payee]:
    payees = [payee() for _ in range(how_many)]
    save_promoters(conn, [Promoter(promoter_id=p.promoter_id, status="active") for p in payees])
    save_payees(conn, with_keys, payees, actor="ada")
    return payees


def test_all_rows_go_to_the_first_key(conn: Connection) -> None:
    saved = save(conn, 5, keys("a")) + save(conn, 2, keys("b"))
    verify_payee(conn, saved[0].promoter_id, actor="bob")
    before = [(each.version, each.verified_by) for each in list_payees(conn)]
    assert rotate_key(conn, keys("c", "b", "a"), batch=2) == (7, [])
    assert rotate_key(conn, keys("c", "b", "a"), batch=2) == (0, [])
    assert {each.key_id for each in list_payees(conn)} == {"c"}
    found = load_payees(conn, keys("c"), [each.promoter_id for each in saved])
    assert list(found.values()) == sorted(saved, key=lambda each: each.promoter_id)
    assert [(each.version, each.verified_by) for each in list_payees(conn)] == before
    last = show_payee(conn, saved[0].promoter_id)[1][-1]
    assert (last.kind, last.fields) == ("resealed", ["key_id", "sealed"])
    assert (last.before, last.after) == ({"key_id": "a"}, {"key_id": "c"})
    # A change after it is a change again.
    verify = saved[1].promoter_id
    assert verify_payee(conn, verify, actor="bob").version == 2


def test_an_interrupted_rotation_goes_on(
    conn: Connection, own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = save(conn, 6, keys("a"))
    calls = 0
    real = payee_rotate.seal

    def fails_later(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(payee_rotate, "seal", fails_later)
    with pytest.raises(KeyboardInterrupt):
        rotate_key(conn, keys("b", "a"), batch=2)
    monkeypatch.undo()
    assert [each.key_id for each in list_payees(conn)] == ["b"] * 2 + ["a"] * 4
    assert len(load_payees(conn, keys("b", "a"), [each.promoter_id for each in saved])) == 6
    assert rotate_key(conn, keys("b", "a"), batch=2) == (4, [])


def test_what_does_not_open_is_named_and_left(conn: Connection, own: Settings) -> None:
    (lost,), saved = save(conn, 1, keys("b")), save(conn, 3, keys("a"))
    with psycopg.connect(own.url("postgres"), autocommit=True) as owner:
        owner.execute(
            "UPDATE payees SET sealed = sealed || 'x' WHERE promoter_id = %s",
            (saved[0].promoter_id,),
        )
    done = rotate_key(conn, keys("c", "a"), batch=1)
    assert done.resealed == 2
    assert len(done.unreadable) == 2
    assert any(
        lost.promoter_id in said and "'b', which is not among" in said for said in done.unreadable
    )
    assert any(saved[0].promoter_id in said for said in done.unreadable)
    with pytest.raises(SealError, match="not among the sealing keys"):
        load_payees(conn, keys("c"), [lost.promoter_id])
