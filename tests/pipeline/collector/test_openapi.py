"""The contract of the door is checked in, valid, and the one that is served."""

import json
from pathlib import Path

from jsonschema import Draft202012Validator
from support.events import event

from pipeline.collector.openapi import document
from schemas.view import View

CHECKED_IN = Path(__file__).parents[3] / "schemas" / "openapi.json"


def test_what_is_checked_in_is_what_is_served() -> None:
    now = json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
    assert CHECKED_IN.read_text(encoding="utf-8") == now, (
        "write it anew: viewledger schema --openapi > schemas/openapi.json"
    )


def test_its_view_is_that_of_the_contract() -> None:
    schemas = document()["components"]["schemas"]
    assert set(schemas["View"]["properties"]) == set(View.__struct_fields__)
    root = {"$ref": "#/components/schemas/View", "components": {"schemas": schemas}}
    validator = Draft202012Validator(root)
    validator.validate(event())
    assert not validator.is_valid(event(watch_ms="9"))
