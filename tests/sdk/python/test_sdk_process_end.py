"""What a client does when its process ends, forks, or forgets it."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest
from support.scripted_door import SECRET_KEY
from support.sdk_clients import VIEW

from viewledger_sdk import AsyncClient, Client, ClientClosed
from viewledger_sdk.disk_queue import DiskQueue


def test_at_the_end_of_the_process_all_is_sent(door):
    code = f"""
        from viewledger_sdk import Client
        client = Client({door.url!r}, {SECRET_KEY!r}, linger_s=60)
        for _ in range(250):
            client.track({VIEW!r})
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=30)
    assert len(set(door.accepted())) == 250


def test_at_the_end_of_the_loop_what_is_left_is_told(door):
    code = f"""
        import asyncio
        from viewledger_sdk import AsyncClient
        async def main():
            AsyncClient({door.url!r}, {SECRET_KEY!r}, linger_s=60).track({VIEW!r})
        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=30
    )
    assert "1 events were not accepted: not_sent" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_client_says_so(door):
    with Client(door.url, SECRET_KEY) as client:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                client.track(VIEW)
            except ClientClosed as error:
                os.write(writing, str(error).encode())
            os._exit(0)
        os.close(writing)
        os.waitpid(child, 0)
        said = os.read(reading, 1000)
        os.close(reading)
        client.track(VIEW)
    assert b"before a fork" in said
    assert len(door.accepted()) == 1


FORK = """
    import asyncio, os, signal, sys
    from viewledger_sdk import AsyncClient, Client
    path, kind = sys.argv[1:]
    async def main():
        client = {"sync": Client, "async": AsyncClient}[kind](
            "http://127.0.0.1:9", KEY, queue_path=path, on_problem=lambda one: print("told")
        )
        client.track(VIEW)
        child = os.fork()
        if not child:
            sys.exit()  # of main, of the loop, and by atexit of the process
        os.waitpid(child, 0)
        for _ in range(5):
            client.track(VIEW)
        os.kill(os.getpid(), signal.SIGKILL)
    asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_forked_child_that_ends_takes_nothing_with_it(kind, tmp_path):
    code = textwrap.dedent(FORK).replace("KEY", repr(SECRET_KEY)).replace("VIEW", repr(VIEW))
    path = tmp_path / "queue.db"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), kind], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, ""), done.stderr
    queue = DiskQueue(path, 10)
    assert queue.unsettled == 6
    queue.close()


def test_without_a_loop_nothing_is_queued(door):
    client = AsyncClient(door.url, SECRET_KEY)
    with pytest.raises(RuntimeError, match="no running event loop"):
        client.track(VIEW)
    assert client.unsettled == 0
    asyncio.run(client.close())


def test_a_flush_that_a_close_interrupts_says_no():
    client = Client("http://127.0.0.1:9", SECRET_KEY, on_problem=lambda problem: None)
    client.track(VIEW)
    said = []
    waiting = threading.Thread(target=lambda: said.append(client.flush(30)))
    waiting.start()
    client.close(0.2)
    waiting.join()
    assert said == [False]
