"""What a client does when its process ends, forks, or forgets it."""

import os
import subprocess
import sys
import textwrap

import pytest
from support.scripted_door import SECRET_KEY
from support.sdk_clients import VIEW

from viewledger_sdk import Client, ClientClosed


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
