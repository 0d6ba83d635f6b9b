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
from schemas.settings import Settings

log = structlog.get_logger()

_MOST_CONNECTIONS = 4096
"""At once, idle ones as well; who comes then waits in the backlog of the socket."""


def run(settings: Settings, name: str) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what has come in.

    Args:
        name: `collector-0`, `collector-1`, …
    """
    port = port_of(settings, int(name.rpartition("-")[2]))
    uvloop.run(_serve(settings, name, port))


async def _serve(settings: Settings, name: str, port: int) -> None:
    server = Server(
        build(opened(settings, f"{settings.collector_id}-{name.rpartition('-')[2]}")),
        address=str(settings.collector_host),
        port=port,
        interface=Interfaces.ASGI,
        # The other modes wait for ever for the first byte of a connection.
        http=HTTPModes.http1,
        websockets=False,
        backlog=_MOST_CONNECTIONS,
        backpressure=_MOST_CONNECTIONS,
        # Of the first request of a connection and of each next one: who is slower is cut.
        http1_settings=HTTP1Settings(header_read_timeout=int(settings.collector_timeout_s * 1000)),
        log_enabled=False,
    )
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
