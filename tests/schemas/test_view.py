"""The contract of the event: its JSON Schema and the decoder accept the same."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.events import VALID, encode, event, record
from typer.testing import CliRunner

import schemas
from pipeline.cli.main import app
from pipeline.score.decode import decode
from schemas.view import LAST_DURATION_MS, LAST_MS, View, json_schema

EXPORTED = Path(schemas.__file__).parent / "view-1.json"
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def accepted(changes: dict[str, Any]) -> bool:
    """Whether score takes such an event for a view."""
    viewer = changes.get("viewer_id", VALID["viewer_id"])
    key = viewer.encode() if isinstance(viewer, str) else None
    views, _, refused = decode([record(encode(**changes), key=key)])
    assert len(views) + len(refused) == 1
    return bool(views)


def test_the_exported_schema_is_the_one_in_the_code() -> None:
    again = "run `viewledger schema --out schemas/view-1.json` and commit it"
    assert json.loads(EXPORTED.read_text(encoding="utf-8")) == json_schema(), again


def test_the_schema_is_a_schema_and_describes_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert set(json_schema()["$defs"]["View"]["properties"]) == set(View.__struct_fields__)


def test_the_command_prints_or_writes_it(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["schema"])
    assert printed.exit_code == 0
    assert printed.output == EXPORTED.read_text(encoding="utf-8")
    out = tmp_path / "view.json"
    assert CliRunner().invoke(app, ["schema", "--out", str(out)]).exit_code == 0
    assert out.read_bytes() == EXPORTED.read_bytes()


texts = st.one_of(
    st.sampled_from([0, 1, 7, 8, 15, 16, 64, 65, 2048, 2049]).map("x".__mul__),
    # One character is one, however many bytes or UTF-16 units it takes.
    st.sampled_from([8, 16, 64, 65]).map("😀".__mul__),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=20),
    st.sampled_from(["view/1", "view/2", "tiktok", "web", "TikTok", "abc_DEF-0123456789", "a b"]),
)
edges = [0, 1, 100, 101, 1440, 1441, LAST_DURATION_MS, LAST_MS]
numbers = st.one_of(
    st.sampled_from([*edges, *(-n for n in edges), *(n + 1 for n in edges)]),
    st.integers(-(2**70), 2**70),
    # JSON Schema takes 1.0 for an integer, score does not: docs/events.md says so.
    st.floats(-200, 200).filter(lambda number: not number.is_integer()),
)
attrs = st.dictionaries(texts, texts, max_size=3) | st.sampled_from([15, 16, 17]).map(
    lambda size: {str(i): "" for i in range(size)}
)
values = st.one_of(texts, numbers, attrs, st.none(), st.booleans(), st.lists(texts, max_size=2))
absent = st.just(...)
names = st.sampled_from([*View.__struct_fields__, "unheard_of"])


@given(st.dictionaries(names, values | absent, min_size=1, max_size=2))
@settings(max_examples=200, deadline=None)
def test_schema_and_decoder_accept_the_same(changes: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(event(**changes)) == accepted(changes)


@pytest.mark.parametrize("changes", [{}, {"attrs": {}}, {"ip": None}, {"unheard_of": 1}])
def test_both_accept(changes: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(event(**changes))
    assert accepted(changes)


def test_a_whole_number_with_a_fraction_is_the_known_difference() -> None:
    assert VALIDATOR.is_valid(event(watch_ms=9_000.0))
    assert not accepted({"watch_ms": 9_000.0})
