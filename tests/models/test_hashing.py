import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from models import hashing
from models.hashing import Memo, combine, text_key, text_keys, words_of


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_a_column_has_the_keys_of_its_texts(texts: list[str]) -> None:
    assert text_keys(pa.array(texts, pa.string())).tolist() == [text_key(text) for text in texts]


def test_keys_are_the_same_on_every_machine() -> None:
    assert text_key("viewer-0001") == 0x5608AAED2087A2C5
    assert combine(np.array([1], np.uint64), 2).tolist() == [0xF8FEBF19D9EE85F1]


def test_the_order_of_columns_matters() -> None:
    one, two = np.array([1], np.uint64), np.array([2], np.uint64)
    assert combine(one, two) != combine(two, one)


def test_a_memo_forgets_rather_than_grows(monkeypatch) -> None:
    monkeypatch.setattr(hashing, "_MEMO_ENTRIES", 10)
    asked = []

    def length(text: str) -> int:
        asked.append(text)
        return len(text)

    memo = Memo(length)
    texts = ["x" * i for i in range(25)]
    assert memo.column(pa.array([*texts, None])).tolist() == [*range(25), 0]
    assert len(memo) <= 10
    assert memo.column(pa.array(texts[-1:] * 3)).tolist() == [24] * 3
    assert len(asked) == 25


@given(st.lists(st.none() | st.sampled_from(["", "a", "b"])))
def test_words_have_the_values_of_their_texts(texts: list[str | None]) -> None:
    column = pa.array(texts, pa.string())
    memo = Memo(text_key)
    assert memo.column(words_of(column)).tolist() == memo.column(column).tolist()
    assert words_of(words_of(column)).to_pylist() == texts
