"""The contract of the front door as OpenAPI 3.1; checked in as `schemas/openapi.json`."""

from importlib.metadata import version
from typing import Any

import msgspec

from pipeline.collector.body import MAX_BYTES, MAX_EVENTS
from pipeline.collector.incoming import Rejected
from schemas.view import View


class Accepted(msgspec.Struct):
    """Which events are in Kafka, acknowledged by all replicas: all that are not `rejected`."""

    accepted: int
    rejected: list[Rejected]


class Problem(msgspec.Struct):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    accepted: int | None = None
    rejected: list[Rejected] | None = None


class Ok(msgspec.Struct):
    """Fine."""

    ok: bool


_PROBLEMS = {
    "400": "Not JSON, no event in it, or every event of it was rejected",
    "401": "No key, one that is not known, or a signature that is wrong or too old",
    "403": "The page's origin may not use this key",
    "408": "The body came in too slowly",
    "413": f"More than {MAX_BYTES} bytes or {MAX_EVENTS} events",
    "415": "Another Content-Type or Content-Encoding than those below",
}
_LATER = {
    "429": "Beyond the quota of the key or the address",
    "503": "Kafka does not acknowledge, or too much is under way",
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "seconds until it is worth another try",
        "schema": {"type": "integer", "minimum": 1},
    }
}


def document() -> dict[str, Any]:
    """The document that `/openapi.json` serves."""
    (view, accepted, problem, ok), components = msgspec.json.schema_components(
        [View, Accepted, Problem, Ok], ref_template="#/components/schemas/{name}"
    )
    problems = {"application/problem+json": {"schema": problem}}
    events = {"oneOf": [view, {"type": "array", "items": view, "maxItems": MAX_EVENTS}]}
    failed = {"description": "not ready", "content": problems, "headers": _RETRY_AFTER}
    responses = {
        "202": {
            "description": "At least one event is accepted, and durable",
            "content": {"application/json": {"schema": accepted}},
        },
        **{code: {"description": text, "content": problems} for code, text in _PROBLEMS.items()},
        **{
            code: {"description": text, "content": problems, "headers": _RETRY_AFTER}
            for code, text in _LATER.items()
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "viewledger collector",
            "version": version("viewledger"),
            "description": "Takes view events. docs/protocol.md says how to be counted once.",
        },
        "paths": {
            "/v1/views": {
                "post": {
                    "operationId": "post_views",
                    "summary": "Send one event or up to 500",
                    "security": [{"key": []}, {"key_in_url": []}, {"signature": []}],
                    "parameters": [_header("Content-Encoding", ["gzip", "br", "zstd", "identity"])],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {"schema": events},
                            "application/x-ndjson": {"schema": {"type": "string"}},
                            "text/plain": {"schema": {"type": "string"}},
                        },
                    },
                    "responses": responses,
                }
            },
            "/healthz": {"get": _page("healthz", "Alive", ok)},
            "/readyz": {"get": _page("readyz", "Whether it can accept", ok, {"503": failed})},
        },
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-Viewledger-Key"},
                "key_in_url": {"type": "apiKey", "in": "query", "name": "key"},
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Viewledger-Signature",
                    "description": "v1=HMAC-SHA256 of timestamp, dot and body; docs/protocol.md",
                },
            },
        },
    }


def _header(name: str, values: list[str]) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": {"type": "string", "enum": values}}


def _page(
    operation: str, summary: str, schema: dict[str, Any], more: dict[str, Any] | None = None
) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    responses = {"200": {"description": summary, "content": content}, **(more or {})}
    return {"operationId": operation, "summary": summary, "responses": responses}
