import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from support.payees import key, new_keys

from schemas.seal_keys import parse_keys
from schemas.settings import Settings
from sinks.sealing import SealError, new_key, payee_keys, seal, unseal

KEYS = new_keys("new", "old")
OLD = {"old": KEYS["old"]}


@given(st.binary(max_size=300), st.binary(max_size=50))
def test_what_is_sealed_opens(text: bytes, aad: bytes) -> None:
    sealed = seal(KEYS, text, aad)
    assert sealed.key_id == "new"
    assert unseal(KEYS, *sealed, aad) == text
    old = seal(OLD, text, aad)
    assert unseal(KEYS, *old, aad) == text
    assert len(text) < 4 or text not in sealed.blob
    assert seal(KEYS, text, aad).blob != sealed.blob


@given(st.binary(max_size=100), st.data())
def test_a_flipped_bit_a_cut_and_a_swap_are_refused(text: bytes, data: st.DataObject) -> None:
    key_id, blob = seal(KEYS, text, b"mine")
    bit = data.draw(st.integers(0, len(blob) * 8 - 1))
    flipped = bytearray(blob)
    flipped[bit // 8] ^= 1 << bit % 8
    cut = blob[: data.draw(st.integers(0, len(blob) - 1))]
    for wrong, aad in [(bytes(flipped), b"mine"), (cut, b"mine"), (blob, b"another's")]:
        with pytest.raises(SealError, match="does not open with key 'new': it was altered"):
            unseal(KEYS, key_id, wrong, aad)


def test_a_wrong_key_and_a_missing_one_are_named() -> None:
    sealed = seal(KEYS, b"text", b"")
    with pytest.raises(SealError, match=r"key 'new'.*is another one"):
        unseal(new_keys("new"), *sealed, b"")
    with pytest.raises(SealError, match=r"'new', which is not among .*: old\)"):
        unseal(OLD, *sealed, b"")


def test_errors_hold_neither_text_nor_key() -> None:
    sealed = seal(KEYS, b"account 123456", b"")
    try:
        unseal(KEYS, *sealed, b"x")
    except SealError as error:
        said = "".join(traceback.TracebackException.from_exception(error).format())
    assert "123456" not in said
    assert repr(KEYS["new"].get_secret_value())[2:-1] not in said + repr(KEYS)


def test_keys_come_from_the_settings() -> None:
    assert list(payee_keys(Settings(payee_keys=SecretStr(f"{key('b')},{key('a')}")))) == ["b", "a"]
    with pytest.raises(SealError, match="set VIEWLEDGER_PAYEE_KEYS"):
        payee_keys(Settings())
    assert new_key() != new_key()
    assert len(parse_keys(f"{new_key()}")) == 1
