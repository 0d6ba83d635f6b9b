"""One worker process: `python -m pipeline.worker score-0 | store | book | collector-0`."""

import gc
import json
import os
import sys
import threading
from importlib import import_module

import faust
import structlog

from pipeline.watch import Watch, serve
from schemas.logs import configure_logs
from schemas.settings import NotRunningError, settings
from schemas.topics import RAW, SCORED

log = structlog.get_logger()

_TOPIC = {"score": RAW, "store": SCORED, "book": SCORED}


def main(name: str) -> None:
    """Runs the worker until it is told to stop; exits non-zero when it failed."""
    # scikit-learn's OpenMP loses by a factor of fifteen when several threads share a block.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    kind = name.partition("-")[0]
    if kind not in (*_TOPIC, "collector"):
        sys.exit(f"unknown worker {name!r}: score-0, score-1, …, store, book or collector-0, …")
    configured = settings()
    configure_logs(configured.log_level, name)
    if kind == "collector":
        serve_events = import_module("pipeline.collector.serve").run
        _collect_less()
        serve_events(configured, name)
        return
    try:
        app, feeds = import_module(f"pipeline.apps.{kind}").build(configured, name)
    except NotRunningError as error:
        sys.exit(str(error))
    watch = Watch(app, _TOPIC[kind], feeds, configured)
    port = serve(watch, configured.metrics_host, configured.metrics_port)
    run = configured.data / "run" / f"{name}.json"
    run.parent.mkdir(parents=True, exist_ok=True)
    run.write_text(json.dumps({"name": name, "pid": os.getpid(), "metrics_port": port}))

    @app.task  # type: ignore[untyped-decorator]
    async def look_after_progress() -> None:
        await watch.run()

    threading.Thread(target=watch.guard, name="watch", daemon=True).start()
    _collect_less()
    log.info("worker starts", metrics_port=port)
    worker = faust.Worker(
        app, override_logging=False, redirect_stdouts=False, quiet=True, loop=None
    )
    worker.spinner = None  # it ends with escapes for a terminal, in front of a line of the log
    worker.execute_from_commandline()


def _collect_less() -> None:
    """What was imported lives for ever; what a block or a request allocates dies with it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) == 2 else "")
