"""Logs: structlog and the standard library through one formatter, JSON in production, a console in a terminal."""

import logging
import sys
from typing import TYPE_CHECKING

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

if TYPE_CHECKING:
    from chassis.config import ServiceSettings


def _trace_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the current trace and span, so that a log line can be found from a trace and back."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
        event["span_id"] = f"{context.span_id:016x}"
    return event


def setup(settings: "ServiceSettings", *, json: bool | None = None) -> None:
    """Configure this process's logs; `json` forces the format, otherwise a terminal gets the console one."""
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _trace_ids,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if as_json:
        shared.append(structlog.processors.format_exc_info)
    renderer: Processor = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()

    def add_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", settings.service)
        return event

    structlog.configure(
        processors=[*shared, add_service, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), add_service],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name, level in _THIRD_PARTY.items():
        logging.getLogger(name).setLevel(level)


# What these say at INFO happens per request or repeats our own lines; at ERROR aiokafka reports what we retry anyway.
_THIRD_PARTY = {
    "uvicorn": logging.WARNING,
    "uvicorn.access": logging.CRITICAL,
    "aiokafka": logging.ERROR,
    "kafka": logging.ERROR,
    "httpx2": logging.WARNING,
    "httpcore2": logging.WARNING,
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
    "pymongo": logging.WARNING,
}
