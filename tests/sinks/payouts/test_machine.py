"""Whatever finance does in whatever order: nobody is paid twice, and nothing is lost."""

import contextlib
from collections import Counter
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from support.ledger import name
from support.payees import OTHER_IBAN, new_keys, payee
from support.payouts import PAYER, TODAY, earn, money, new_campaign, new_promoter

from schemas.payout import Answer, Iban
from schemas.settings import Settings
from sinks.correct import CorrectionError, correct
from sinks.ledger_verify import verify_ledger
from sinks.payees import PayeeError, save_payees, verify_payee
from sinks.payouts.answers import mark
from sinks.payouts.approve import approve, cancel
from sinks.payouts.batch import PayoutError, load_batch
from sinks.payouts.draft import draft
from sinks.payouts.export import export
from sinks.postgres import connect
from sinks.settle import settle

pytestmark = pytest.mark.services

PEOPLE = st.sampled_from(["anna", "ben"])
NUMBER = st.integers(0, 5)


class Finance(RuleBasedStateMachine):
    """Two promoters, two people, and a bank."""

    books: Settings

    def __init__(self) -> None:
        super().__init__()
        self.conn = connect(self.books)
        self.keys = new_keys()
        self.campaign = new_campaign(self.conn)
        self.promoters = [new_promoter(self.conn, self.keys) for _ in range(2)]
        self.earned: Counter[str] = Counter()
        self.corrected: Counter[str] = Counter()
        self.accruals: list[tuple[int, str]] = []
        self.batches: list[int] = []
        self.files: dict[int, list[Any]] = {}

    def teardown(self) -> None:
        assert verify_ledger(self.conn) == []
        self.conn.execute("UPDATE promoters SET status = 'suspended' WHERE status = 'active'")
        self.conn.close()

    @rule(who=st.integers(0, 1), views=st.integers(1, 400))
    def earn(self, who: int, views: int) -> None:
        promoter = self.promoters[who]
        self.accruals.append((earn(self.conn, self.campaign, promoter, views), promoter))
        self.earned[promoter] += views * 1000

    @rule()
    def settle(self) -> None:
        settle(self.conn)

    @rule(which=NUMBER, views=st.integers(1, 300))
    def correct(self, which: int, views: int) -> None:
        if self.accruals:
            accrual, promoter = self.accruals[which % len(self.accruals)]
            with contextlib.suppress(CorrectionError):
                done = correct(
                    self.conn, accrual, views, reason="bot", actor="fred", key=name("key")
                )
                self.corrected[promoter] += done.net_micros

    @rule(actor=PEOPLE, minimum=st.sampled_from([0, 20_000]), again=st.booleans())
    def draft(self, actor: str, minimum: int, again: bool) -> None:
        key = name("key")
        made = draft(self.conn, "EUR", None, minimum, actor=actor, key=key).batch
        if made is not None:
            self.batches.append(made.batch_id)
            if again:
                same = draft(self.conn, "EUR", None, minimum, actor=actor, key=key).batch
                assert same == made

    def chosen(self, which: int) -> int | None:
        return self.batches[-1 - which % len(self.batches)] if self.batches else None

    @rule(which=NUMBER, actor=PEOPLE)
    def approve(self, which: int, actor: str) -> None:
        if (batch := self.chosen(which)) is not None:
            with contextlib.suppress(PayoutError):
                done = approve(self.conn, batch, actor=actor)
                assert done.drafted_by != done.approved_by

    @rule(which=NUMBER, line=st.none() | NUMBER, actor=PEOPLE)
    def cancel(self, which: int, line: int | None, actor: str) -> None:
        if (batch := self.chosen(which)) is not None:
            lines = load_batch(self.conn, batch).lines
            number = None if line is None else lines[line % len(lines)].line_id
            with contextlib.suppress(PayoutError):
                cancel(self.conn, batch, number, actor=actor, reason="a test")

    @rule(which=NUMBER, actor=PEOPLE)
    def export(self, which: int, actor: str) -> None:
        if (batch := self.chosen(which)) is not None:
            with contextlib.suppress(PayoutError):
                files = export(
                    self.conn, self.keys, PAYER, batch, "pain.001.001.09", TODAY, actor=actor
                )
                assert self.files.setdefault(batch, files) == files

    @rule()
    def pay(self) -> None:
        """All steps at once: left to chance, hardly any batch would come so far."""
        settle(self.conn)
        made = draft(self.conn, "EUR", None, 0, actor="anna", key=name("key")).batch
        if made is not None:
            self.batches.append(made.batch_id)
            with contextlib.suppress(PayoutError):
                approve(self.conn, made.batch_id, actor="ben")
            self.export(0, "ben")

    @rule(which=NUMBER, line=NUMBER, outcome=st.sampled_from(["settled", "failed", "returned"]))
    def answer(self, which: int, line: int, outcome: Any) -> None:
        if (batch := self.chosen(which)) is not None:
            lines = load_batch(self.conn, batch).lines
            number = lines[line % len(lines)].line_id
            with contextlib.suppress(PayoutError):
                answer = Answer(reference=f"VL{number}", outcome=outcome, code="X")
                mark(self.conn, number, answer, actor="the bank")

    @rule(who=st.integers(0, 1), verified=st.booleans(), iban=st.sampled_from([OTHER_IBAN, None]))
    def edit_payee(self, who: int, verified: bool, iban: str | None) -> None:
        promoter = self.promoters[who]
        fields = {"details": Iban(iban)} if iban else {}
        save_payees(self.conn, self.keys, [payee(promoter_id=promoter, **fields)], actor="paula")
        if verified:
            with contextlib.suppress(PayeeError):
                verify_payee(self.conn, promoter, actor="vera")

    @invariant()
    def nobody_is_paid_twice(self) -> None:
        for promoter in self.promoters:
            has = money(self.conn, promoter)
            rows = self.conn.execute(
                "SELECT status, gross_micros FROM payout_lines WHERE promoter_id = %s", (promoter,)
            ).fetchall()
            paid = sum(micros for status, micros in rows if status == "settled")
            open_ = sum(
                micros for status, micros in rows if status in ("drafted", "approved", "exported")
            )
            assert has.get("payout_clearing", 0) == open_
            # Whatever was earned is in one place, and what was corrected is gone or owed.
            held = sum(has.values())
            assert held + paid == self.earned[promoter] - self.corrected[promoter]
            assert paid + open_ <= self.earned[promoter]


def test_nobody_is_paid_twice(payout_books: Settings) -> None:
    Finance.books = payout_books
    with connect(payout_books) as conn:
        conn.execute("UPDATE promoters SET status = 'suspended'")
    run_state_machine_as_test(
        Finance,
        settings=settings(
            max_examples=15,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_database_itself_refuses(payout_books: Settings) -> None:
    """Without our code in between."""
    keys = new_keys()
    with connect(payout_books) as conn:
        promoter = new_promoter(conn, keys)
        earn(conn, new_campaign(conn), promoter, 30)
        settle(conn)
        made = draft(conn, "EUR", None, 0, actor="anna", key=name("key")).batch
        assert made is not None
        line = next(line for line in made.lines if line.promoter_id == promoter)
        conn.execute("SELECT set_config('viewledger.actor', 'anna', false)")
        batch = f"WHERE batch_id = {made.batch_id}"
        refused = [
            f"UPDATE payout_batches SET status = 'approved', approved_by = ' Anna ' {batch}",
            f"UPDATE payout_batches SET status = 'exported' {batch}",
            f"UPDATE payout_batches SET currency = 'USD' {batch}",
            f"UPDATE payout_lines SET amount_minor = amount_minor + 1 {batch}",
            f"UPDATE payout_lines SET status = 'settled' {batch}",
            f"UPDATE payout_lines SET status = 'failed' WHERE line_id = {line.line_id}",
        ]
        for statement in refused:
            with pytest.raises(psycopg.errors.IntegrityError):
                conn.execute(statement)
        for statement in (
            f"DELETE FROM payout_lines {batch}",
            f"DELETE FROM payout_batches {batch}",
            "INSERT INTO payout_events (batch_id, became, actor) VALUES (1, 'x', 'y')",
            "UPDATE corrections SET views = 1",
            "DELETE FROM settled_accruals",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement)
        cancel(conn, made.batch_id, actor="ben", reason="a test")
        assert money(conn, promoter) == {"promoter_payable": 30_000}
