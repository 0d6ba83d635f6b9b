"""Finance at work while its processes, its connections and its Postgres are killed, from a seed."""

import itertools
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import psycopg
from support.finance_child import Commands, die_at_a_new_point, die_at_step, run

from pipeline.embedded.stack import processes
from schemas.settings import Settings
from sinks.ledger_verify import verify_ledger
from sinks.postgres import Connection

_KILLS = [0, 0, 1, 1, 2, 3]
"""How often one command is killed, until it is left alone."""
_LOST = "viewledger: Postgres: "
"""What a command begins with that ended because its connection did."""
_PATIENCE_S = 60
_processes = multiprocessing.get_context("forkserver")
# Imported once: else most kills would hit an import, and none what matters.
_processes.set_forkserver_preload(
    [
        *("pipeline.cli.main", "sinks.book", "sinks.bank_answers.read", "sinks.payouts.export"),
        *("sinks.payouts.answers", "sinks.payouts.draft", "sinks.payouts.payer"),
        *("confluent_kafka", "clickhouse_connect", "sinks.correct", "sinks.sealing"),
        *("pipeline.settlement.judge_again", "pipeline.review", "sinks.review_money"),
    ]
)


class Finance:
    """Runs commands, again and again until they say that they are done."""

    def __init__(
        self, settings: Settings, env: dict[str, str], folder: Path, seed: int = 0
    ) -> None:
        self.settings = settings
        self.env = env | {"VIEWLEDGER_POSTGRES": settings.url("postgres")}
        self.random = random.Random(seed)
        self.story: list[str] = []
        self.broken: Commands | None = None
        """Applied in every process: how a test breaks the product on purpose."""
        self.folder = folder
        self._said = folder / "said.txt"
        self._usual: dict[str, float] = {}

    def harmed(self, *words: object, after: Callable[[], None] = lambda: None) -> str:
        """What the command said when it was done; killed at random moments until then.

        `after` is called after each attempt.
        """
        kills = self.random.choice(_KILLS)
        started = time.monotonic()
        for attempt in itertools.count():
            by_shell = self.broken is None and self.random.random() < 0.08
            process = self.start(*words, by_shell=by_shell)
            if attempt < kills:
                self._harm(words, process, by_shell)
            else:
                self._measure(words, process, by_shell)
            after()
            said = self._said.read_text(errors="replace")
            if process.exitcode == 0:
                return said
            lost = process.exitcode == 1 and said.startswith(_LOST)
            killed = process.exitcode == -signal.SIGKILL and attempt < kills
            assert lost or killed, f"{words} ended with {process.exitcode}: {said}"
            assert time.monotonic() < started + _PATIENCE_S, f"{words} is never done: {said}"
            if lost:
                owner(self.settings).close()
        raise AssertionError

    def killed_at_steps(
        self, *words: object, chance: random.Random, kills: int, steps: int
    ) -> list[str]:
        """Runs a command until it is done; what it was at each time it was killed.

        Args:
            kills: at most so often.
            steps: about how many it has.
        """
        killed = []
        for kill in range(kills + 1):
            at = chance.randint(1, steps) if kill < kills else 0
            process = self.start(*words, patch=partial(die_at_step, at))
            process.join()
            said = self._said.read_text()
            assert process.exitcode in (0, -signal.SIGKILL), said
            with owner(self.settings) as conn:
                assert verify_ledger(conn) == []
            if process.exitcode == 0:
                break
            killed.append(said.rpartition("\0")[2][:60])
        return killed

    def refused(self, *words: object) -> str:
        """What the command said when it refused."""
        while True:
            process = self.start(*words)
            process.join()
            said = self._said.read_text()
            assert process.exitcode == 1, said
            if not said.startswith(_LOST):
                return said
            owner(self.settings).close()

    def at_every_statement(self, *words: object, check: Callable[[], None]) -> tuple[str, int]:
        """Kills the command before each statement that it sends and after each COMMIT.

        `check` is called after each COMMIT. Returns what it said when it got through, and how
        often it was killed.
        """
        points: set[str] = set()
        for kills in itertools.count():
            process = self.start(*words, patch=partial(die_at_a_new_point, points))
            process.join()
            said = self._said.read_text()
            if process.exitcode == 0:
                return said, kills
            assert process.exitcode == -signal.SIGKILL, said
            point = said.rpartition("\0")[2]
            assert point not in points
            points.add(point)
            if point.startswith("after"):
                check()
        raise AssertionError

    def start(
        self, *words: object, by_shell: bool = False, patch: Commands | None = None
    ) -> "_Shell | multiprocessing.process.BaseProcess":
        """A process that runs the command; what it says goes into a file."""
        text = [str(word) for word in words]
        self._said.write_text("")
        if by_shell and text[0] == "payouts":
            return _Shell(text, self.env, self._said)
        patches = [each for each in (self.broken, patch) if each]
        process = _processes.Process(target=run, args=(text, self.env, self._said, patches))
        process.start()
        return process

    def beside(self, target: Callable[..., None], *args: object) -> Callable[[], None]:
        """Runs a function in a process of its own; returns what kills it."""
        process = _processes.Process(target=target, args=(self.settings.url("postgres"), *args))
        process.start()

        def kill() -> None:
            process.kill()
            process.join()

        return kill

    def _harm(
        self,
        words: tuple[object, ...],
        process: "_Shell | multiprocessing.process.BaseProcess",
        by_shell: bool,
    ) -> None:
        usual = self._usual.get(self._kind(words, by_shell), 1.5 if by_shell else 0.2)
        time.sleep(self.random.uniform(0, usual))
        deed = self.random.choices(
            [process.kill, self._end_backends, self._kill_backend, self._kill_postgres],
            [80, 12, 3, 5],
        )[0]
        deed()
        self.story.append(f"{' '.join(map(str, words[:2]))}: {deed.__name__.strip('_')}")
        process.join()

    def _measure(
        self,
        words: tuple[object, ...],
        process: "_Shell | multiprocessing.process.BaseProcess",
        by_shell: bool,
    ) -> None:
        started = time.monotonic()
        process.join()
        self._usual[self._kind(words, by_shell)] = time.monotonic() - started

    @staticmethod
    def _kind(words: tuple[object, ...], by_shell: bool) -> str:
        return f"{words[:2] if words[0] == 'payouts' else words[0]} {by_shell}"

    def _end_backends(self) -> None:
        with owner(self.settings) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'viewledger%'"
            )

    def _kill_backend(self) -> None:
        """Postgres then ends all connections and recovers."""
        with owner(self.settings) as conn:
            found = conn.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'viewledger%'"
            ).fetchall()
        for (pid,) in found[:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _kill_postgres(self) -> None:
        """Its supervisor starts it again."""
        found = {process.name: process.pid for process in processes(self.settings)}
        if pid := found["postgres"]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def owner(settings: Settings) -> Connection:
    """A connection of the owner, once Postgres answers."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return psycopg.connect(settings.url("postgres"), autocommit=True)
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


class _Shell:
    """The command as a person types it, with the few methods of a process used above."""

    def __init__(self, words: list[str], env: dict[str, str], said: Path) -> None:
        program = Path(sys.executable).with_name("viewledger")
        with said.open("w") as file:
            self._process = subprocess.Popen(
                [str(program), *words], env=env, stdout=file, stderr=subprocess.STDOUT
            )

    @property
    def exitcode(self) -> int | None:
        return self._process.returncode

    def kill(self) -> None:
        self._process.kill()

    def join(self) -> None:
        self._process.wait()
