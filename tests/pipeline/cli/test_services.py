"""`up`, `down` and `status`, as typed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.services import mask_password
from schemas.settings import SERVICES

COMMAND = str(Path(sys.executable).with_name("viewledger"))


def environment(data: Path) -> dict[str, str]:
    return {**os.environ, "VIEWLEDGER_DATA": str(data)}


def viewledger(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], env=environment(data), capture_output=True, text=True
    )


@given(st.text("abc:/@?#[]!", min_size=1))
def test_a_password_is_never_shown(password: str) -> None:
    url = f"postgresql://user:{quote(password, safe='')}@db.example:5432/name?password={password}"
    assert mask_password(url) == "postgresql://user:***@db.example:5432/name"


def test_where_nothing_runs(tmp_path: Path) -> None:
    assert "Nothing runs" in viewledger(tmp_path, "status").stdout
    done = viewledger(tmp_path, "down")
    assert (done.returncode, "Nothing was running" in done.stdout) == (0, True)


def test_what_cannot_start_is_said_in_a_line(tmp_path: Path) -> None:
    done = viewledger(tmp_path / "100%", "up", "--detach")
    assert done.returncode == 1
    assert done.stderr.startswith("viewledger: the path of the data folder")
    assert "Traceback" not in done.stderr


@pytest.mark.services
def test_up_stays_until_it_is_told_to_go(tmp_path: Path) -> None:
    up = subprocess.Popen(
        [COMMAND, "up"], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    try:
        assert up.stdout is not None
        said = []
        for line in up.stdout:
            said.append(line)
            if "Ctrl-C" in line:
                break
        assert any("Workers are started" in line for line in said)

        found = json.loads(viewledger(tmp_path, "status", "--json").stdout)
        assert set(found["endpoints"]) == {*SERVICES, "collector"}
        assert [worker["name"] for worker in found["workers"]] == [
            "book",
            "collector-0",
            "score-0",
            "store",
        ]
        shown = viewledger(tmp_path, "status").stdout
        assert found["endpoints"]["kafka"] in shown
        assert "***" in shown
        again = viewledger(tmp_path, "up", "--detach")
        assert (again.returncode, "up already" in again.stdout) == (0, True)
        logs = [tmp_path / "logs" / f"{name}.log" for name in ("score-0", "store", "book")]
        while not all('"partition": 0' in log.read_text() for log in logs):
            time.sleep(0.2)
    finally:
        up.send_signal(signal.SIGTERM)
        rest, _ = up.communicate()
    assert "Taking everything down" in rest
    assert up.returncode == 0
    assert not [service for service in found["services"] if psutil.pid_exists(service["pid"])]
    assert "Nothing runs" in viewledger(tmp_path, "status").stdout
    for log in logs:
        assert {json.loads(line)["worker"] for line in log.read_text().splitlines()} == {log.stem}
