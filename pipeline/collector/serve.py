"""A collector process: granian in front of the app, until it is told to stop."""

import asyncio
import json
import os
import resource
import signal

import structlog
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from pipeline.collector.app import build
from pipeline.collector.door import opened
from pipeline.collector.endpoint import port_of
from pipeline.collector.headers import Asgi
from schemas.settings import Settings

log = structlog.get_logger()

_MOST_CONNECTIONS = 4096
"""At once, idle ones as well; who comes then waits in the backlog of the socket."""

_CONNECTION_BYTES = 64 * 1024
"""Of what comes in on each, beyond which it is made to wait."""


def run(settings: Settings, name: str) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what has come in.

    Args:
        name: `collector-0`, `collector-1`, …
    """
    port = port_of(settings, int(name.rpartition("-")[2]))
    uvloop.run(_serve(settings, name, port))


def server_of(app: Asgi, settings: Settings, port: int) -> Server:
    """Granian as it serves the collector: bounded in connections and in patience."""
    return Server(
        app,
        address=str(settings.collector_host),
        port=port,
        interface=Interfaces.ASGI,
        # The other modes wait for ever for the first byte of a connection.
        http=HTTPModes.http1,
        websockets=False,
        backlog=_MOST_CONNECTIONS,
        backpressure=_MOST_CONNECTIONS,
        http1_settings=HTTP1Settings(
            # Of the first request of a connection and of each next one: who is slower is cut.
            header_read_timeout=int(settings.collector_timeout_s * 1000),
            max_buffer_size=_CONNECTION_BYTES,
        ),
        log_enabled=False,
    )


async def _serve(settings: Settings, name: str, port: int) -> None:
    app = build(opened(settings, f"{settings.collector_id}-{name.rpartition('-')[2]}"))
    server = server_of(app, settings, port)
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    run_file = settings.data / "run" / f"{name}.json"
    run_file.parent.mkdir(parents=True, exist_ok=True)
    run_file.write_text(json.dumps({"name": name, "pid": os.getpid(), "metrics_port": port}))
    log.info("collector starts", port=port)
    await server.serve()
    log.info("collector ends")
