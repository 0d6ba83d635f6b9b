"""Short pauses, and a door to send through."""

from collections.abc import Iterator

import pytest
from support.scripted_door import ScriptedDoor
from support.sdk_clients import CLIENTS

from viewledger_sdk import protocol


@pytest.fixture(autouse=True, scope="session")
def _short_pauses() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "BACKOFF_BASE_S", 0.004)
        patch.setattr(protocol, "BACKOFF_CAP_S", 0.02)
        yield


@pytest.fixture
def door() -> Iterator[ScriptedDoor]:
    found = ScriptedDoor()
    yield found
    found.close()


@pytest.fixture(params=sorted(CLIENTS))
def make_client(request):
    """A client class: the synchronous one, or the asynchronous one from outside."""
    return CLIENTS[request.param]
