"""PostgreSQL runs for whoever starts it, root included."""

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from pipeline.embedded.postgres import as_other_user
from pipeline.embedded.stack import processes
from schemas.settings import Settings

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")


@as_root
def test_as_root_it_is_another_user_who_passes_closed_folders(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("seen")
    for command, expected in ((["id", "-un"], "nobody\n"), (["cat", f"{closed}/file"], "seen")):
        done = subprocess.run([*as_other_user(), *command], capture_output=True, text=True)
        assert done.stdout == expected, done.stderr


@as_root
@pytest.mark.services
def test_the_server_runs_as_another_user_below_a_closed_folder(stack: Settings) -> None:
    assert stack.data.parent.stat().st_mode & 0o077 == 0
    (pid,) = [process.pid for process in processes(stack) if process.name == "postgres"]
    assert psutil.Process(pid).username() == "nobody"
