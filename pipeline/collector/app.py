"""The Litestar app: routes, and what becomes of everything that goes wrong."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import structlog
from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException

from pipeline.collector.door import Door
from pipeline.collector.headers import Asgi, with_headers
from pipeline.collector.health import healthz, metrics, openapi, readyz
from pipeline.collector.problems import MEDIA_TYPE, ProblemError
from pipeline.collector.views import post_views

log = structlog.get_logger()

_KNOWN = {
    404: ("not_found", "there is no such page; events go to POST /v1/views"),
    405: ("method_not_allowed", "this page is not asked in this way"),
}


def build(door: AbstractAsyncContextManager[Door]) -> Asgi:
    """The ASGI app of a door, which is opened when the server starts."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with door as app.state.door:
            yield

    app = Litestar(
        route_handlers=[post_views, healthz, readyz, metrics, openapi],
        lifespan=[lifespan],
        exception_handlers={Exception: _answer},
        openapi_config=None,
        logging_config=None,
    )
    return with_headers(app, lambda: app.state.door.keyring)


def _answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    problem = _problem(error)
    state = request.scope["state"]
    state["problem"] = problem.reason
    if problem.status == 500:
        log.error("request failed", request_id=state["request_id"], exc_info=error)
    else:
        log.info(
            "request refused",
            request_id=state["request_id"],
            status=problem.status,
            reason=problem.reason,
        )
    return Response(
        problem.body(state["request_id"]),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )


def _problem(error: Exception) -> ProblemError:
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, HTTPException) and error.status_code < 500:
        reason, detail = _KNOWN.get(error.status_code, ("bad_request", "not a valid request"))
        return ProblemError(error.status_code, reason, detail, headers=error.headers)
    return ProblemError(500, "internal", "this is a fault of the collector; it has been logged")
