"""The queue on disk: what was tracked survives kill -9 at any moment, for one process at a time."""

import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from support.scripted_door import LOST, SECRET_KEY, Act
from support.sdk_clients import VIEW

from viewledger_sdk import Client, ConfigError, QueueFull, QueueLocked
from viewledger_sdk.disk_queue import DiskQueue

NOBODY = "http://127.0.0.1:9"


def test_it_goes_on_where_another_client_stopped(door, make_client, tmp_path):
    path = tmp_path / "queue.db"
    told = []
    first = make_client(NOBODY, SECRET_KEY, queue_path=path, on_problem=told.append)
    ids = [first.track(VIEW) for _ in range(5)]
    first.forward(b'{"event_id": "an-event-of-another"}')
    assert not first.close(0.05)
    assert not told
    with make_client(door.url, SECRET_KEY, queue_path=path) as second:
        assert second.unsettled == 6
        ids.append(second.track(VIEW))
        assert second.flush(20)
    assert door.accepted() == [*ids[:5], "an-event-of-another", ids[5]]
    with make_client(NOBODY, SECRET_KEY, queue_path=path) as third:
        assert third.unsettled == 0


def test_one_client_at_a_time(make_client, tmp_path):
    path = tmp_path / "queue.db"
    with make_client(NOBODY, SECRET_KEY, queue_path=path):
        with pytest.raises(QueueLocked, match="queue_path of its own"):
            make_client(NOBODY, SECRET_KEY, queue_path=path)
        code = (
            f"from viewledger_sdk import Client; Client({NOBODY!r}, {SECRET_KEY!r},"
            f" queue_path={str(path)!r})"
        )
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "QueueLocked" in other.stderr
    make_client(NOBODY, SECRET_KEY, queue_path=path).close()


def test_a_file_that_is_no_queue(make_client, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at" * 100)
    with pytest.raises(ConfigError, match="cannot be used"):
        make_client(NOBODY, SECRET_KEY, queue_path=path)
    with pytest.raises(ConfigError, match="unable to open"):
        make_client(NOBODY, SECRET_KEY, queue_path=tmp_path / "no" / "queue.db")


def test_it_is_bounded(tmp_path):
    queue = DiskQueue(tmp_path / "queue.db", 2)
    queue.put("event-0000000001", b"{")
    queue.put(None, b"{}")
    with pytest.raises(QueueFull):
        queue.put("event-0000000003", b"{")
    batch = queue.take(10)
    assert queue.take(10) == []
    assert not queue.settled_up_to(queue.last)
    queue.settle(batch)
    assert queue.settled_up_to(queue.last)
    queue.put("event-0000000003", b"{")
    assert [item.event_id for item in queue.take(10)] == ["event-0000000003"]
    queue.close()


FULL_DISK = textwrap.dedent(
    """
    import resource, sys, time
    from pathlib import Path
    from viewledger_sdk import Client
    url, key, path, view = sys.argv[1:]
    told = []
    with Client(url, key, queue_path=path, linger_s=0, on_problem=told.append) as client:
        for number in range(3):  # more than there are threads
            client.track(eval(view), event_id=f"event-{number:016}")
            while client._outbox.queue.waiting:
                time.sleep(0.001)
            size = Path(path + "-wal").stat().st_size
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
            assert client.flush(5), client.counts
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert client.counts.accepted == 3 and not told
    """
)


def test_a_full_disk_does_not_end_the_sending(door, tmp_path):
    door.script = [Act(wait_s=0.3)] * 3  # the disk is full when the answer comes
    path = str(tmp_path / "queue.db")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, door.url, SECRET_KEY, path, repr(VIEW)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert len(door.accepted()) == 3
    queue = DiskQueue(tmp_path / "queue.db", 10)
    assert queue.unsettled == 0
    queue.close()


TRACK_FOREVER = textwrap.dedent(
    """
    import itertools, sys
    from viewledger_sdk import Client, QueueFull, protocol
    protocol.BACKOFF_BASE_S = 0.004
    url, key, path, run = sys.argv[1:]
    client = Client(url, key, queue_path=path, batch_size=20, linger_s=0.01, max_queue=1_000)
    for number in itertools.count():
        view = {"campaign_id": "c", "promoter_id": "p", "post_id": "q", "platform": "web",
                "viewer_id": "viewer-1", "session_id": "session-1", "watch_ms": 1,
                "duration_ms": 1, "visible_pct": 1}
        try:
            client.track(view, event_id=f"event-of-run-{run}-{number:08}")
        except QueueFull:
            client.wait_for_room(1)
            continue
        sys.stdout.write(f"event-of-run-{run}-{number:08}\\n")
        sys.stdout.flush()
    """
)


@pytest.mark.parametrize("seed", range(2))
def test_kill_at_any_moment(door, tmp_path, seed):
    """Each process is killed; what it said it had tracked is delivered by those after it."""
    chance = random.Random(seed)
    path = tmp_path / "queue.db"
    door.script = [
        chance.choice([Act(), Act(), LOST, Act(503), Act(wait_s=0.02)]) for _ in range(400)
    ]
    tracked: list[str] = []
    for run in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", TRACK_FOREVER, door.url, SECRET_KEY, str(path), str(run)],
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            tracked.append(child.stdout.readline().strip())
            time.sleep(chance.uniform(0, 0.25))
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().splitlines()
            # The last line may be half of one.
            tracked += [line for line in rest if len(line) == len("event-of-run-0-00000000")]
    assert len(tracked) > 4
    door.script.clear()
    with Client(door.url, SECRET_KEY, queue_path=path) as client:
        assert client.flush(30)
        assert client.counts.not_accepted.total() == 0
    assert set(tracked) <= set(door.accepted())
