"""`/healthz`, `/readyz`, `/metrics` and `/openapi.json`."""

from ipaddress import ip_address
from typing import Any

from litestar import Request, Response, get
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pipeline.collector.openapi import document
from pipeline.collector.problems import ProblemError


@get("/healthz", sync_to_thread=False)
def healthz() -> dict[str, bool]:
    """Alive: the process answers. Nothing else is asked, so that no outage restarts it."""
    return {"ok": True}


@get("/readyz", sync_to_thread=False)
def readyz(request: Request[Any, Any, Any]) -> dict[str, bool]:
    """Whether an event could be accepted now."""
    if reasons := request.app.state.door.unready():
        raise ProblemError(503, "not_ready", "; ".join(reasons), retry_after_s=1.0)
    return {"ok": True}


@get("/metrics", sync_to_thread=False)
def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Prometheus, for who is near: what came through a proxy or from afar finds no such page."""
    peer = request.scope["client"]
    proxied = {"x-forwarded-for", "forwarded"} & set(request.headers)
    if proxied or (peer and not ip_address(peer[0]).is_private):
        raise ProblemError(404, "not_found", "there is no such page")
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@get("/openapi.json", sync_to_thread=False)
def openapi() -> dict[str, Any]:
    """The contract of this door."""
    return document()
