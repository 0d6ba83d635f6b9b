"""A client of the front door as a process: run with a `Plan` as JSON, killed, and run again.

It tracks the events 0, 1, 2, … until there is a file `stop` in its folder; a new life goes on where
the last one was. What it knows is in files as well: `tracked` and `promised` (event ids) and
`problems` (what it was told), a line each.
"""

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx
from support.door import ORIGIN, fresh, signed

from viewledger_sdk import AsyncClient, Client, outbox, protocol

BATCH = 20
CLIENT_TIMEOUT_S = 4.0
BAD_EACH = 10
"""Every tenth event is of a campaign that nobody knows: refused by score, not by the door."""


class Plan(NamedTuple):
    """What a client does."""

    kind: Literal["sync", "async", "hand"]
    name: str
    folder: str
    url: str
    token: str
    per_second: int
    new_ids: bool = False
    """Broken on purpose: each attempt has event ids of its own."""

    def event(self, number: int) -> dict[str, Any]:
        """The same one each time but for its times."""
        return fresh(
            event_id=f"{self.name}-{number:016}",
            viewer_id=f"viewer-{self.name}-{number % 37}",
            campaign_id="unknown" if number % BAD_EACH == 9 else "c-1",
        )

    def numbers(self) -> Iterator[int]:
        """What comes next; one at least, as the last one may be tracked and not noted."""
        for number in count(len(self.notes("tracked"))):
            yield number
            if (Path(self.folder) / "stop").exists():
                break

    def note(self, file: str, *lines: str) -> None:
        """At once in the hands of the kernel: kill -9 does not take it back."""
        handle = os.open(Path(self.folder) / file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(handle, "".join(f"{line}\n" for line in lines).encode())
        os.close(handle)

    def notes(self, file: str) -> list[str]:
        """The lines that were noted."""
        path = Path(self.folder) / file
        return path.read_text().splitlines() if path.exists() else []


def main(plan: Plan) -> None:
    protocol.BACKOFF_BASE_S, protocol.BACKOFF_CAP_S = 0.1, 1.0
    if plan.new_ids:
        _break_ids()
    {"sync": _sync, "async": lambda one: asyncio.run(_async(one)), "hand": _hand}[plan.kind](plan)


def _options(plan: Plan) -> dict[str, Any]:
    return {
        "batch_size": BATCH,
        "linger_s": 0.1,
        "timeout_s": CLIENT_TIMEOUT_S,
        "on_problem": lambda problem: plan.note("problems", f"{problem.event_id} {problem.reason}"),
    }


def _sync(plan: Plan) -> None:
    """Many lives: what it tracked and did not send is in its queue on disk."""
    queue = Path(plan.folder) / "queue.db"
    with Client(plan.url, plan.token, queue_path=queue, **_options(plan)) as client:
        for number in plan.numbers():
            plan.note("tracked", client.track(plan.event(number)))
            time.sleep(1 / plan.per_second)
        assert client.flush(120)


async def _async(plan: Plan) -> None:
    """One life."""
    async with AsyncClient(plan.url, plan.token, origin=ORIGIN, **_options(plan)) as client:
        for number in plan.numbers():
            plan.note("tracked", client.track(plan.event(number)))
            await asyncio.sleep(1 / plan.per_second)
        assert await client.flush(120)


def _hand(plan: Plan) -> None:
    """Many lives; whatever has no 202 is sent again, with the same ids."""
    with httpx.Client(timeout=CLIENT_TIMEOUT_S) as client:
        for first in plan.numbers():
            batch = [plan.event(first * BATCH + n) for n in range(BATCH)]
            body = json.dumps(batch).encode()
            while not _is_taken(client, plan, body):
                time.sleep(0.1)
            plan.note("promised", *(event["event_id"] for event in batch))
            plan.note("tracked", " ".join(event["event_id"] for event in batch))
            time.sleep(BATCH / plan.per_second)


def _is_taken(client: httpx.Client, plan: Plan, body: bytes) -> bool:
    headers = signed(plan.token, body)
    try:
        answer = client.post(f"{plan.url}/v1/views", content=body, headers=headers)
    except httpx.TransportError:
        return False
    if answer.status_code == 202:
        assert answer.json() == {"accepted": BATCH, "rejected": []}
        return True
    assert answer.status_code == 503, answer.text
    assert "retry-after" in answer.headers
    return False


def _break_ids() -> None:
    make = outbox.Outbox._request

    def wrong(self: Any, items: Any) -> Any:
        changed = []
        for item in items:
            event = json.loads(item.data + b"}") | {"event_id": uuid.uuid4().hex}
            changed.append(item._replace(data=json.dumps(event).encode()[:-1]))
        return make(self, changed)

    outbox.Outbox._request = wrong  # type: ignore[method-assign]


if __name__ == "__main__":
    main(Plan(**json.loads(sys.argv[1])))
