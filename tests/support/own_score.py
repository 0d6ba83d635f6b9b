"""A scorer that a test has for itself, with settings of its own; it looks anew every second."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

from pipeline.embedded.supervisor import environment_of
from schemas.settings import Settings

NAME = "score-0"


class OwnScore(NamedTuple):
    """A process that is not supervised: it is not started again."""

    process: "subprocess.Popen[bytes]"
    run: Path
    log: Path

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        port = json.loads(self.run.read_text())["metrics_port"]
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


@contextmanager
def own_score(services: Settings, folder: Path, **changes: Any) -> Iterator[OwnScore]:
    """The only scorer of these services; killed at the end."""
    changed = services.model_copy(update={"data": services.data.absolute(), **changes})
    log = folder / "score.log"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, __file__], env=environment_of(changed), stdout=file, stderr=file
        )
    try:
        yield OwnScore(process, changed.data / "run" / f"{NAME}.json", log)
        assert process.poll() is None, log.read_text()[-2000:]
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    from models import judge, lists_in_use
    from pipeline.score import catalogue
    from pipeline.worker import main

    assert judge._AGAIN_S > lists_in_use._MAX_AGE_S == catalogue._MAX_AGE_S
    judge._AGAIN_S = lists_in_use._MAX_AGE_S = catalogue._MAX_AGE_S = 1.0
    main(NAME)
