"""Stacks of services for tests, that end at once: nobody needs their data any more."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from pipeline.embedded import leftovers
from pipeline.embedded.stack import start_services, stop
from pipeline.topics import ensure_topics
from schemas.settings import Settings
from sinks.migrate import migrate_up


@contextmanager
def running(settings: Settings) -> Iterator[Settings]:
    """Services with topics and tables, without workers."""
    try:
        start_services(settings)
        ensure_topics(settings)
        migrate_up(settings)
        yield settings
    finally:
        kill(settings)


def kill(settings: Settings) -> None:
    """Ends services and workers without letting them finish."""
    data = settings.data.absolute()
    if not data.exists():
        return
    # The supervisor first, by its place in time: it would start the others again.
    while found := sorted(leftovers.leftovers(data), key=psutil.Process.create_time):
        for process in found:
            with suppress(psutil.NoSuchProcess):
                # Postgres then leaves no shared memory behind.
                is_postgres = process.name() == "postgres"
                process.send_signal(signal.SIGQUIT if is_postgres else signal.SIGKILL)
        if leftovers.wait(found, 10):
            break
    stop(settings)
