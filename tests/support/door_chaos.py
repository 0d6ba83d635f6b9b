"""What is done to the front door and around it while clients send, from a seed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
from support import door_client
from support.chaos import Chaos
from support.door_client import Plan

from pipeline.collector.endpoint import collector_url
from schemas.settings import Settings


class Clients:
    """Processes of `door_client`, one per plan."""

    def __init__(self, plans: list[Plan]) -> None:
        self.plans = plans
        self._running = {plan.name: self._start(plan) for plan in plans}

    def kill(self, plan: Plan) -> None:
        """kill -9, and a new one takes up where it was. Does nothing once it has finished."""
        process = self._running[plan.name]
        if process.poll() is None:
            process.kill()
            process.wait()
            self._running[plan.name] = self._start(plan)

    def finish(self, seconds: float) -> None:
        """Until all have sent everything.

        Raises:
            AssertionError: one failed, or took longer.
        """
        for plan in self.plans:
            (Path(plan.folder) / "stop").touch()
        deadline = time.monotonic() + seconds
        for name, process in self._running.items():
            try:
                code = process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                code = -1
            said = self._log(name).read_text()[-3000:]
            assert code == 0, f"{name} ended with {code}:\n{said}"

    def end(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()

    def _start(self, plan: Plan) -> "subprocess.Popen[bytes]":
        Path(plan.folder).mkdir(exist_ok=True)
        tests = str(Path(door_client.__file__).parents[1])
        with self._log(plan.name).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, door_client.__file__, json.dumps(plan._asdict())],
                env={**os.environ, "PYTHONPATH": tests},
                stdout=log,
                stderr=log,
            )

    def _log(self, name: str) -> Path:
        [folder] = [plan.folder for plan in self.plans if plan.name == name]
        return Path(folder) / "log"


class DoorChaos(Chaos):
    """Each of these once or more, in an order that the seed decides."""

    def __init__(self, settings: Settings, seed: int, clients: Clients) -> None:
        super().__init__(settings, seed)
        self._clients = clients

    def everything(self) -> None:
        deeds = [
            *[lambda: self._send("collector-0", signal.SIGKILL)] * 2,
            lambda: self._send("collector-0", signal.SIGTERM),
            lambda: self._pause("collector-0", 0.5, 3),
            lambda: self._send("kafka", signal.SIGKILL),
            # Longer than the collector waits: what it said 503 to is in Kafka all the same.
            lambda: self._pause("kafka", 2.5, 3.5),
            lambda: self._send("redis", signal.SIGKILL),
            lambda: self._send("postgres", signal.SIGKILL),
            *[self._kill_client] * 2,
        ]
        self.random.shuffle(deeds)
        for deed in deeds:
            # Mostly while events are accepted, now and then into the trouble of the last deed.
            if self.random.random() < 0.7:
                self.wait_for_the_door()
            time.sleep(self.random.uniform(0.2, 1))
            deed()

    def wait_for_the_door(self) -> None:
        """Until an event could be accepted, or for some seconds."""
        url = collector_url(self.settings)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                    return
            time.sleep(0.05)

    def _kill_client(self) -> None:
        plan = self.random.choice([one for one in self._clients.plans if one.kind != "async"])
        self.story.append(f"SIGKILL client {plan.kind}")
        self._clients.kill(plan)

    def _pause(self, name: str, least_s: float, most_s: float) -> None:
        pid = self._send(name, signal.SIGSTOP)
        time.sleep(self.random.uniform(least_s, most_s))
        if pid is not None:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).send_signal(signal.SIGCONT)
