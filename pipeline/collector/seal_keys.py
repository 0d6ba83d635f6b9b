"""The keys that signing secrets are sealed with: of the setting, or kept in the data folder."""

import os
import tempfile
from contextlib import suppress

from schemas.seal_keys import Keys, parse_keys
from schemas.settings import Settings
from sinks.sealing import new_key


def collector_keys(settings: Settings) -> Keys:
    """`VIEWLEDGER_COLLECTOR_KEYS`, or a key that is made once; the first one seals, all open.

    Raises:
        OSError: the data folder cannot be written.
        ValueError: what is kept in it is no key.
    """
    if settings.collector_keys is not None:
        return parse_keys(settings.collector_keys.get_secret_value())
    path = settings.data / "collector" / "keys"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Linked and not renamed: of two that start at once, both go on with the key of one.
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as draft:
            draft.write(new_key())
            draft.flush()
            os.fsync(draft.fileno())
            with suppress(FileExistsError):
                os.link(draft.name, path)
    try:
        return parse_keys(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
