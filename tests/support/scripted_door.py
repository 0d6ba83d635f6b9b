"""A collector of the tests: real sockets, answers by script, and remembers all it was sent."""

import gzip
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET_KEY = "vlsk_" + "k" * 12 + "_" + "s" * 43
PUBLISHABLE_KEY = "vlpk_" + "k" * 12 + "_" + "p" * 43


@dataclass
class Act:
    """What the door does with one request."""

    status: int = 202
    headers: tuple[tuple[str, str], ...] = ()
    reject: dict[int, str] | None = None
    """Reasons by place; with a status other than 202 they go into the problem."""
    body: bytes | None = None
    """Instead of the body of the protocol."""
    taken: bool | None = None
    """Whether the events count as durable; by the status if None."""
    cut: str | None = None
    """"silent": no answer at all; "half": the answer is cut; both by a reset."""
    wait_s: float = 0.0
    reason: str = "some_reason"


LOST = Act(taken=True, cut="silent")
"""The events are durable, the client never hears of it."""
HALF = Act(taken=True, cut="half")
RESET = Act(cut="silent", taken=False)


@dataclass
class Seen:
    """One request."""

    headers: dict[str, str]
    path: str
    wire: bytes
    lines: list[bytes]
    at: float
    act: Act

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    @property
    def ids(self) -> list[str]:
        return [event["event_id"] for event in self.events]


class ScriptedDoor:
    """Serves until `close`; acts by `script` and then says 202 to everything."""

    def __init__(self) -> None:
        self.script: list[Act] = []
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.door = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def accepted(self) -> list[str]:
        """The ids of all durable events, as often as they came."""
        found = []
        for one in list(self.seen):
            durable = one.act.status == 202 if one.act.taken is None else one.act.taken
            refused = one.act.reject or {}
            found += [
                event_id for i, event_id in enumerate(one.ids) if durable and i not in refused
            ]
        return found

    def attempts(self, event_id: str) -> list[dict[str, Any]]:
        """The event as it came in each attempt, in order."""
        return [event for one in list(self.seen) for event in one.events
                if event["event_id"] == event_id]  # fmt: skip


class _Server(ThreadingHTTPServer):
    door: ScriptedDoor
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is meant."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        wire = self.rfile.read(length)
        if len(wire) < length:  # the client was killed before it had sent all of it
            self.close_connection = True
            return
        plain = gzip.decompress(wire) if self.headers["Content-Encoding"] == "gzip" else wire
        door = self.server.door
        headers = {name.lower(): value for name, value in self.headers.items()}
        with door.lock:
            act = door.script.pop(0) if door.script else Act()
            door.seen.append(
                Seen(headers, self.path, wire, plain.split(b"\n"), time.monotonic(), act)
            )
        if act.wait_s:
            time.sleep(act.wait_s)
        self._answer(act, plain.count(b"\n") + 1)

    def _answer(self, act: Act, count: int) -> None:
        if act.cut == "silent":
            return self._reset()
        rejected = [
            {"index": i, "event_id": None, "reason": reason, "detail": "said the test"}
            for i, reason in (act.reject or {}).items()
            if i < count
        ]
        body: dict[str, Any] = {"accepted": count - len(rejected), "rejected": rejected}
        if act.status != 202:
            body = {
                "type": f"urn:viewledger:problem:{act.reason}",
                "status": act.status,
                "detail": "said the test",
                **({"rejected": rejected} if act.reject else {}),
            }
        data = json.dumps(body).encode() if act.body is None else act.body
        self.send_response(act.status)
        for name, value in act.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if act.cut else data)
        if act.cut:
            self.wfile.flush()
            self._reset()
        return None

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *_arguments: Any) -> None:
        """Quiet."""
