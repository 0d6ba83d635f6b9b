"""Every bad event gets its own reason, and its neighbours do not notice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.events import encode, event, record

from pipeline.score.build import refused_batch
from pipeline.score.decode import decode
from schemas.verdicts import Refusal

GOOD = encode()
NESTED = 3_000

BAD: list[tuple[str, bytes | None, Refusal]] = [
    ("no value", None, Refusal.EMPTY_VALUE),
    ("empty", b"", Refusal.EMPTY_VALUE),
    ("10 MB", b'{"a":"' + b"x" * 10_000_000 + b'"}', Refusal.TOO_LARGE),
    ("64 KiB and a bit", encode(referrer="x" * 70_000), Refusal.TOO_LARGE),
    ("not UTF-8", b"\xff\xfe" + GOOD, Refusal.INVALID_UTF8),
    ("UTF-8 cut off", encode(post_id="p").replace(b'"p"', b'"\xc3"'), Refusal.INVALID_UTF8),
    ("not JSON", b"{nonsense", Refusal.NOT_JSON),
    ("two objects", GOOD + GOOD, Refusal.NOT_JSON),
    ("half", GOOD[:-5], Refusal.NOT_JSON),
    ("NaN", GOOD.replace(b" 9000,", b" NaN,"), Refusal.NOT_A_NUMBER),
    ("Infinity", GOOD.replace(b" 9000,", b" -Infinity,"), Refusal.NOT_A_NUMBER),
    ("deep array", b"[" * NESTED + b"]" * NESTED, Refusal.TOO_DEEP),
    ("deep object", b'{"a":' * NESTED + b"1" + b"}" * NESTED, Refusal.TOO_DEEP),
    ("array", b"[1]", Refusal.NOT_AN_OBJECT),
    ("null", b"null", Refusal.NOT_AN_OBJECT),
    ("next version", encode(schema="view/2"), Refusal.UNKNOWN_SCHEMA),
    ("version as number", encode(schema=1), Refusal.UNKNOWN_SCHEMA),
    ("no version", encode(schema=...), Refusal.MISSING_FIELD),
    ("no post", encode(post_id=...), Refusal.MISSING_FIELD),
    ("text for number", encode(watch_ms="9000"), Refusal.WRONG_TYPE),
    ("fraction for number", encode(watch_ms=1.5), Refusal.WRONG_TYPE),
    ("number for text", encode(post_id=7), Refusal.WRONG_TYPE),
    ("null for number", encode(watch_ms=None), Refusal.WRONG_TYPE),
    ("attr is a number", encode(attrs={"a": 1}), Refusal.WRONG_TYPE),
    ("negative", encode(watch_ms=-1), Refusal.OUT_OF_RANGE),
    ("over 100 %", encode(visible_pct=100.5), Refusal.OUT_OF_RANGE),
    ("beyond int64", encode(watch_ms=10**30), Refusal.OUT_OF_RANGE),
    ("beyond float", GOOD.replace(b": 100}", b": 1e999}"), Refusal.OUT_OF_RANGE),
    ("in seconds squared", encode(occurred_at=10**15), Refusal.OUT_OF_RANGE),
    ("17 attrs", encode(attrs={str(i): "" for i in range(17)}), Refusal.OUT_OF_RANGE),
    ("10,000 characters", encode(event_id="e" * 10_000), Refusal.INVALID_ID),
    ("short viewer", encode(viewer_id="v"), Refusal.INVALID_ID),
    ("spaces in the id", encode(event_id="event 0000000000001"), Refusal.INVALID_ID),
    ("empty campaign", encode(campaign_id=""), Refusal.INVALID_ID),
    ("no such platform", encode(platform="myspace"), Refusal.UNKNOWN_PLATFORM),
    ("platform as number", encode(platform=3), Refusal.WRONG_TYPE),
]


@pytest.mark.parametrize(("value", "refusal"), [pytest.param(v, r, id=n) for n, v, r in BAD])
def test_a_bad_event_gets_its_reason_and_harms_no_neighbour(
    value: bytes | None, refusal: Refusal
) -> None:
    records = [record(GOOD, offset=0), record(value, offset=1), record(GOOD, offset=2)]
    views, kept, refused = decode(records)
    assert [one.offset for one in kept] == [0, 2]
    assert len(views) == 2
    assert [(one.record.offset, one.refusal) for one in refused] == [(1, refusal)]


def test_the_key_must_be_the_viewer() -> None:
    _, _, refused = decode([record(GOOD, key=None), record(GOOD, key=b"somebody-else")])
    assert [one.refusal for one in refused] == [Refusal.MISSING_KEY, Refusal.KEY_MISMATCH]


def test_half_a_character_in_an_id_is_no_id() -> None:
    _, _, refused = decode([record(encode(schema="view/2", event_id="\ud800" * 16))])
    row = refused_batch(refused).to_pylist()[0]
    assert (row["refusal"], row["event_id"]) == (Refusal.UNKNOWN_SCHEMA, None)
    assert row["campaign_id"] == "c-1"


def test_the_detail_holds_no_value_of_the_event() -> None:
    secret = "203.0.113.77"
    values = [encode(platform=secret), encode(schema=secret), encode(watch_ms=secret)]
    _, _, refused = decode([record(value) for value in values])
    assert len(refused) == 3
    assert not [one for one in refused if secret in one.detail]


@given(st.lists(st.one_of(st.binary(max_size=60), st.just(GOOD), st.none()), max_size=20))
def test_every_record_is_either_a_view_or_refused(values: list[bytes | None]) -> None:
    records = [record(value, offset=i) for i, value in enumerate(values)]
    views, kept, refused = decode(records)
    offsets = [one.offset for one in kept] + [one.record.offset for one in refused]
    assert sorted(offsets) == list(range(len(values)))
    assert len(views) == values.count(GOOD)


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=80), st.just([1])
)


@given(st.sampled_from(sorted(event())), anything)
def test_any_value_in_any_field_is_judged_without_a_crash(name: str, value: object) -> None:
    views, _, refused = decode([record(encode(**{name: value})), record(GOOD, offset=1)])
    assert len(views) + len(refused) == 2
    assert views, "the neighbour was harmed"
