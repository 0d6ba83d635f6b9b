"""PostgreSQL runs for whoever starts it, root included."""

import os
import subprocess
import sys
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
    prefix = as_other_user(closed)
    for command, expected in (
        (["id", "-un"], "nobody\n"),
        (["cat", f"{closed}/file"], "seen"),
        (["test", "-r", f"{closed}/file"], ""),  # by access(2), as PostgreSQL does
    ):
        done = subprocess.run([*prefix, *command], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, expected), done.stderr


@as_root
def test_where_nobody_cannot_pass_it_says_so(tmp_path: Path) -> None:
    weak = ["setpriv", "--bounding-set=-dac_override,-setpcap", "--inh-caps=-all"]
    script = (
        "from pathlib import Path; from pipeline.embedded import postgres; "
        f"postgres.as_other_user(Path({str(tmp_path)!r}))"
    )
    done = subprocess.run([*weak, sys.executable, "-c", script], capture_output=True, text=True)
    assert "ServiceError: PostgreSQL does not run as root, and the user `nobody` cannot" in (
        done.stderr
    )


@as_root
@pytest.mark.services
def test_the_server_runs_as_another_user_below_a_closed_folder(stack: Settings) -> None:
    assert stack.data.parent.stat().st_mode & 0o077 == 0
    (pid,) = [process.pid for process in processes(stack) if process.name == "postgres"]
    assert psutil.Process(pid).username() == "nobody"
