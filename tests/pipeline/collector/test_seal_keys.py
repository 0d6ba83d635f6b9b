import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr
from support.payees import key

from pipeline.collector.seal_keys import collector_keys
from schemas.settings import Settings


def test_the_setting_goes_first(tmp_path: Path) -> None:
    keys = collector_keys(
        Settings(data=tmp_path, collector_keys=SecretStr(f"{key('b')},{key('a')}"))
    )
    assert list(keys) == ["b", "a"]
    assert not list(tmp_path.iterdir())


def test_without_it_one_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "not" / "there"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: collector_keys(Settings(data=data)), range(32)))
    (key_id,) = found[0]
    assert len({keys[key_id].get_secret_value() for keys in found}) == 1
    file = data / "collector" / "keys"
    assert list(file.parent.iterdir()) == [file]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_what_is_kept_can_be_rotated_and_must_be_keys(tmp_path: Path) -> None:
    now = Settings(data=tmp_path)
    (first,) = collector_keys(now)
    file = tmp_path / "collector" / "keys"
    file.write_text(f"{key('newer')},{file.read_text()}")
    assert list(collector_keys(now)) == ["newer", first]
    file.write_text("c2VjcmV0")
    with pytest.raises(ValueError, match="collector/keys: key 1 has no id") as error:
        collector_keys(now)
    assert "c2Vj" not in str(error.value)
