"""Files like those of TalkingData."""

from pathlib import Path

import numpy as np

_HEADER = "ip,app,device,os,channel,click_time,attributed_time,is_attributed\n"


def clicks(path: Path, seed: int, minute: int, n: int = 1_500, minutes: int = 5) -> Path:
    """Clicks of some minutes, of which those of few apps and of new devices are installs."""
    rng = np.random.default_rng(seed)
    lines = [_HEADER]
    for i in range(n):
        installs = rng.random() < 0.08
        app_id = rng.integers(1, 4) if installs or rng.random() < 0.1 else 5
        ip = rng.integers(5_000) if installs or rng.random() < 0.1 else i % 50
        time = f"2017-11-07 11:{minute + i * minutes // n:02}:{i * minutes * 60 // n % 60:02}"
        lines.append(f"{ip},{app_id},1,{i % 3},{i % 7},{time},,{int(installs)}\n")
    path.write_text("".join(lines))
    return path
