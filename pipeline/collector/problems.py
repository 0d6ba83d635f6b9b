"""What went wrong, as `application/problem+json` (RFC 9457): for the person who sent it."""

import math
from http import HTTPStatus
from typing import Any

import msgspec

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """A request that is refused as a whole.

    Args:
        status: of HTTP.
        reason: a label that programs can tell apart.
        detail: what was wrong and what to do; never a value that may be secret.
        retry_after_s: when to try again.
        headers: of the answer.
        more: members of the body beside those of the RFC.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        *,
        retry_after_s: float | None = None,
        headers: dict[str, str] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.reason, self.detail = status, reason, detail
        self.headers, self.more = headers or {}, more or {}
        if retry_after_s is not None:
            self.headers = {**self.headers, "Retry-After": str(max(1, math.ceil(retry_after_s)))}

    def body(self, request_id: str) -> bytes:
        """The answer as JSON."""
        return msgspec.json.encode(
            {
                "type": f"urn:viewledger:problem:{self.reason}",
                "title": HTTPStatus(self.status).phrase,
                "status": self.status,
                "detail": self.detail,
                "request_id": request_id,
                **self.more,
            }
        )
