"""Structured logs: one JSON object per line on standard error. No IPs, no secrets."""

import logging
import sys

import structlog

_NEVER_LOGGED = (
    *("ip", "address", "peer", "client", "forwarded", "ip_hash", "ip_prefix_hash"),
    *("user_agent", "client_hints", "referrer", "viewer_id"),
    *("password", "secret", "salt", "token", "url", "value", "headers", "body"),
)


def _censor(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    for name in _NEVER_LOGGED:
        if name in event:
            event[name] = "[not logged]"
    return event


def configure_logs(level: str, worker: str) -> None:
    """Sends structlog and the standard library's logging to standard error as JSON lines."""

    def named(
        _logger: object, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event["worker"] = worker  # no context variable: threads begin without
        return event

    shared: list[structlog.typing.Processor] = [
        named,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _censor,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for chatty in ("aiokafka", "faust", "mode", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logs_for_people() -> None:
    """Sends what a command logs to standard error, in words; standard output is its answer."""
    structlog.configure(
        # The stream of the moment: tests exchange it.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        processors=[_censor, *structlog.get_config()["processors"]],
    )
