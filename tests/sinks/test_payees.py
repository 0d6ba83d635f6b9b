import json
import logging
import traceback
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace
from psycopg.errors import (
    CheckViolation,
    InsufficientPrivilege,
    IntegrityConstraintViolation,
)
from support.payees import DETAILS, IBAN, OTHER_IBAN, new_keys, payee

from schemas.catalogue import Promoter
from schemas.payee import Payee
from schemas.payout import Address, Iban
from sinks.catalogue import Changes, save_promoters
from sinks.payees import (
    PayeeError,
    list_payees,
    load_details,
    load_payees,
    save_payees,
    show_payee,
    verify_payee,
)
from sinks.postgres import Connection
from sinks.sealing import SealError

pytestmark = pytest.mark.services
KEYS = new_keys("a")


def save(conn: Connection, *payees: Payee, actor: str = "ada") -> Changes:
    known = [Promoter(promoter_id=each.promoter_id, status="active") for each in payees]
    save_promoters(conn, known)
    return save_payees(conn, KEYS, payees, actor=actor)


def one(conn: Connection, known: Payee) -> Any:
    return show_payee(conn, known.promoter_id)[0]


def test_what_is_saved_is_loaded(conn: Connection) -> None:
    wanted = [payee(details=details) for details in DETAILS]
    wanted.append(payee(tax_form="w9", backup_withholding=True, legal_name="'; DROP TABLE --"))
    assert save(conn, *wanted) == Changes(new=4)
    ids = [each.promoter_id for each in wanted]
    assert load_payees(conn, KEYS, [*ids, "nobody"]) == dict(zip(ids, wanted, strict=True))
    assert load_details(conn, KEYS, ids[:1]) == {ids[0]: DETAILS[0]}
    shown = {each.promoter_id: each for each in list_payees(conn)}
    assert {shown[key].masked for key in ids} == {
        *("DE89 **** **** 3000", "021000021 **** 6789", "a***@example.com")
    }
    assert {shown[key].version for key in ids} == {1}


def test_says_what_changed_and_raises_the_version_only_then(conn: Connection) -> None:
    first, second = payee(), payee()
    save(conn, first, second)
    before = one(conn, first)
    assert save(conn, first, actor="eve") == Changes(unchanged=1)
    assert one(conn, first) == before
    changed = replace(first, legal_name="Ada Lovelace")
    assert save(conn, changed, second, payee(), actor="eve") == Changes(1, 1, 1)
    after = one(conn, first)
    assert (after.version, after.updated_by, after.legal_name) == (2, "eve", "Ada Lovelace")


def test_the_database_holds_no_bank_details_in_clear(conn: Connection, owner: Connection) -> None:
    known = payee()
    save(conn, known)
    save(conn, replace(known, details=Iban(OTHER_IBAN, "SOLADEST600")))
    verify_payee(conn, known.promoter_id, actor="bob")
    text = ""
    for table in ("payees", "payee_changes", "payees_masked"):
        rows = owner.execute(
            f"SELECT to_jsonb(t)::text FROM {table} t WHERE promoter_id = %s",
            (known.promoter_id,),
        ).fetchall()
        text += "".join(row for (row,) in rows)
    assert "**** **** 3000" in text
    for clear in (IBAN[4:-4], OTHER_IBAN[4:-4], "COBADEFF", "SOLADEST"):
        assert clear not in text
        assert clear.encode().hex() not in text


def test_history_says_what_when_and_by_whom(conn: Connection) -> None:
    known = payee()
    save(conn, known)
    verify_payee(conn, known.promoter_id, actor="bob")
    save(conn, replace(known, details=Iban(OTHER_IBAN), tax_form="w9"), actor="eve")
    _, history = show_payee(conn, known.promoter_id)
    assert [(each.version, each.kind, each.changed_by) for each in history] == [
        (1, "created", "ada"),
        (2, "verified", "bob"),
        (3, "changed", "eve"),
    ]
    created, verified, changed = history
    assert created.before == {}
    assert created.after["masked"] == "DE89 **** **** 3000"
    assert verified.fields == ["verified_at", "verified_by"]
    assert changed.fields == ["masked", "sealed", "tax_form", "verified_at", "verified_by"]
    assert changed.before["masked"] == "DE89 **** **** 3000"
    assert changed.after["masked"] == "DE75 **** **** 6199"
    assert changed.before["verified_by"] == "bob"
    assert changed.after["verified_by"] is None


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        ({"legal_name": "Other"}, False),
        ({"address": Address(town="Bonn", country="DE")}, False),
        ({"details": Iban(OTHER_IBAN)}, False),
        ({"details": Iban(IBAN)}, False),  # without its BIC: looks the same when masked
        ({"details": DETAILS[2]}, False),
        ({"currency": "CHF"}, False),
        ({"tax_form": "w8"}, True),
        ({"backup_withholding": True}, True),
    ],
)
def test_a_change_of_name_address_or_account_ends_the_verification(
    change: dict[str, Any], stays: bool, conn: Connection
) -> None:
    known = payee()
    save(conn, known)
    verified = verify_payee(conn, known.promoter_id, actor="bob")
    assert (verified.verified_by, verified.version) == ("bob", 2)
    assert save(conn, replace(known, **change), actor="eve") == Changes(changed=1)
    after = one(conn, known)
    assert (after.verified_by == "bob", after.verified_at is not None) == (stays, stays)
    assert (after.version, after.updated_by) == (3, "eve")


def test_nobody_verifies_what_he_changed(conn: Connection) -> None:
    known = payee()
    save(conn, known)
    save(conn, replace(known, tax_form="w9"), actor="Eve")
    for same in ("ada", "ADA", "eve"):
        with pytest.raises(PayeeError, match="another person must verify it"):
            verify_payee(conn, known.promoter_id, actor=same)
    verify_payee(conn, known.promoter_id, actor="bob")
    with pytest.raises(PayeeError, match="verified already, by 'bob'"):
        verify_payee(conn, known.promoter_id, actor="zoe")
    # A new round: who changed it in the last one may verify, the verifier who changes it not.
    save(conn, replace(known, legal_name="Other"), actor="bob")
    with pytest.raises(PayeeError, match="another person"):
        verify_payee(conn, known.promoter_id, actor="bob")
    assert verify_payee(conn, known.promoter_id, actor="ada").verified_by == "ada"


def test_verifies_what_was_looked_at_and_no_later_version(conn: Connection) -> None:
    known = payee()
    save(conn, known)
    save(conn, replace(known, legal_name="Other"))
    with pytest.raises(PayeeError, match="is at version 2 and not 1"):
        verify_payee(conn, known.promoter_id, actor="bob", version=1)
    assert verify_payee(conn, known.promoter_id, actor="bob", version=2).version == 3
    with pytest.raises(PayeeError, match="'nobody' has no payee"):
        verify_payee(conn, "nobody", actor="bob")


@pytest.mark.parametrize("actor", ["", " ada", "a" * 65, "a\nb", "a\x00"])
def test_an_actor_has_a_name(actor: str, conn: Connection) -> None:
    with pytest.raises(PayeeError, match="actor is"):
        save(conn, payee(), actor=actor)
    with pytest.raises(PayeeError, match="actor is"):
        verify_payee(conn, "p", actor=actor)


def test_all_or_none_and_no_account_in_errors_or_logs(
    conn: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    good, stranger = payee(), payee()
    bad = payee(details=Iban(IBAN[:-1] + "1"))
    save_promoters(conn, [Promoter(promoter_id=good.promoter_id, status="active")])
    for wrong, said in [
        (bad, f"{bad.promoter_id}: iban has wrong check digits"),
        (stranger, f"{stranger.promoter_id}: no such promoter; import it first"),
    ]:
        with pytest.raises(PayeeError) as error:
            save_payees(conn, KEYS, [good, wrong], actor="ada")
        assert said in str(error.value)
        shown = "".join(traceback.TracebackException.from_exception(error.value).format())
        assert IBAN[4:-4] not in shown + caplog.text
        assert list_payees(conn, [good.promoter_id]) == []


def test_swapped_rows_and_other_keys_are_found(conn: Connection, owner: Connection) -> None:
    mine, other = payee(), payee(details=Iban(OTHER_IBAN))
    save(conn, mine, other)
    owner.execute(
        "UPDATE payees SET (sealed, masked) = (SELECT sealed, masked FROM payees"
        " WHERE promoter_id = %s) WHERE promoter_id = %s",
        (other.promoter_id, mine.promoter_id),
    )
    with pytest.raises(SealError, match=f"{mine.promoter_id}.*belongs to another row"):
        load_details(conn, KEYS, [mine.promoter_id])
    owner.execute(
        "UPDATE payees SET masked = 'DE00***' WHERE promoter_id = %s", [other.promoter_id]
    )
    with pytest.raises(SealError, match="is shown as another account than the sealed one"):
        load_details(conn, KEYS, [other.promoter_id])
    lost = payee()
    save(conn, lost)
    later = new_keys("b")
    with pytest.raises(SealError, match="'a', which is not among the sealing keys"):
        save_payees(conn, later, [lost], actor="ada")
    verify_payee(conn, lost.promoter_id, actor="bob")
    saved = save_payees(conn, later, [lost], actor="ada", replace_unreadable=True)
    assert saved == Changes(changed=1)
    assert load_payees(conn, later, [lost.promoter_id]) == {lost.promoter_id: lost}
    assert one(conn, lost).verified_by is None


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("UPDATE payees SET promoter_id = 'x' WHERE promoter_id = %s", "another promoter"),
        ("UPDATE payees SET verified_by = 'b', town = 'X' WHERE promoter_id = %s", "its own"),
        ("UPDATE payees SET verified_by = 'ada' WHERE promoter_id = %s", "four_eyes"),
        ("DELETE FROM payees WHERE promoter_id = %s", "payees stay"),
        ("DELETE FROM payee_changes WHERE promoter_id = %s", "payees stay"),
        ("UPDATE payee_changes SET kind = 'verified' WHERE promoter_id = %s", "payees stay"),
        (
            """INSERT INTO payee_changes
            (promoter_id, version, kind, fields, before, after, changed_by)
            VALUES (%s, 9, 'verified', '{}', '{}', '{}', 'x')""",
            "payees stay",
        ),
        ("UPDATE payees SET legal_name = E'a\\nb' WHERE promoter_id = %s", "check constraint"),
        ("UPDATE payees SET masked = 'DE89370400' WHERE promoter_id = %s", "check constraint"),
        (
            "UPDATE payees SET method = 'ach', updated_by = 'x' WHERE promoter_id = %s",
            "check constraint",
        ),
    ],
)
def test_triggers_hold_even_the_owner_back(
    sql: str, error: str, conn: Connection, owner: Connection
) -> None:
    known = payee()
    save(conn, known)
    before = one(conn, known)
    with pytest.raises((IntegrityConstraintViolation, CheckViolation), match=error):
        owner.execute(sql.encode(), (known.promoter_id,))
    assert one(conn, known) == before


def test_what_triggers_write_nobody_else_does(conn: Connection, owner: Connection) -> None:
    known = payee()
    save(conn, known)
    before = show_payee(conn, known.promoter_id)
    owner.execute(
        "UPDATE payees SET version = 9, updated_by = 'x', edited_by = '{}', verified_at = now(),"
        " updated_at = '2000-01-01' WHERE promoter_id = %s",
        (known.promoter_id,),
    )
    assert show_payee(conn, known.promoter_id) == before
    owner.execute("SET viewledger.resealing = 'on'")
    with pytest.raises(IntegrityConstraintViolation, match="changes the key and nothing else"):
        owner.execute(
            "UPDATE payees SET key_id = 'b', town = 'X' WHERE promoter_id = %s",
            (known.promoter_id,),
        )


def test_rights(books: Any, conn: Connection) -> None:
    known = payee()
    save(conn, known)
    for sql in (
        "DELETE FROM payees",
        "TRUNCATE payees",
        "INSERT INTO payee_changes (promoter_id) VALUES ('x')",
        "UPDATE payee_changes SET kind = 'x'",
        "DELETE FROM payee_changes",
        "ALTER TABLE payees DISABLE TRIGGER ALL",
    ):
        with pytest.raises(InsufficientPrivilege):
            conn.execute(sql.encode())
    url = books.url("postgres")
    with psycopg.connect(url, autocommit=True, options="-c role=viewledger_read") as reader:
        row = reader.execute(
            "SELECT to_jsonb(p)::text FROM payees_masked p WHERE promoter_id = %s",
            (known.promoter_id,),
        ).fetchone()
        assert row is not None
        assert "sealed" not in json.loads(row[0])
        for sql in (
            "SELECT FROM payees",
            "SELECT FROM payee_changes",
            "UPDATE payees_masked SET town = 'X'",
        ):
            with pytest.raises(InsufficientPrivilege):
                reader.execute(sql.encode())


def test_a_table_of_ones_own_does_not_catch_the_history(conn: Connection) -> None:
    conn.execute("CREATE TEMP TABLE payee_changes (LIKE public.payee_changes)")
    known = payee()
    save(conn, known)
    kept = conn.execute(
        "SELECT count(*) FROM public.payee_changes WHERE promoter_id = %s", (known.promoter_id,)
    ).fetchone()
    assert kept == (1,)
