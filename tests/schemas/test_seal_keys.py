import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from support.payees import key

from schemas.seal_keys import parse_keys
from schemas.settings import Settings


def test_reads_keys_in_their_order() -> None:
    found = parse_keys(f"{key('2026a')}, {key('2025.b-_')}")
    assert list(found) == ["2026a", "2025.b-_"]
    assert {len(each.get_secret_value()) for each in found.values()} == {32}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "key 1 has no id"),
        ("c2VjcmV0", "key 1 has no id"),
        pytest.param(f"{key()},", "key 2 has no id", id="a comma too much"),
        (":c2VjcmV0", "the id of key 1"),
        ("a b:c2VjcmV0", "the id of key 1"),
        ("a:c2VjcmV0", "key 1 has 6 bytes and needs 32"),
        ("a:c2Vj cmV0", "key 1 is not base64"),
        ("a:ü", "key 1 is not base64"),
        pytest.param(f"{key('a')},{key('a')}", "key 2 has the id of an earlier one", id="twice"),
    ],
)
def test_says_which_is_wrong_and_repeats_nothing(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        parse_keys(text)
    assert "c2Vj" not in str(error.value)


@given(st.text())
def test_any_text_is_keys_or_an_error_without_it(text: str) -> None:
    with pytest.raises(ValueError, match="key 1"):
        parse_keys("!" + text)


def test_settings_never_show_keys() -> None:
    good = key()
    assert good not in repr(Settings(payee_keys=SecretStr(good)))
    with pytest.raises(ValidationError) as error:
        Settings(payee_keys=SecretStr(good + "x"))
    assert good[2:] not in str(error.value)
