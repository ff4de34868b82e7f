"""Log set-up: each line is one JSON object, or coloured text on a terminal, with request, trace and order ids."""

import json
import logging
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from opentelemetry import trace
from structlog.types import EventDict, Processor

from chassis import telemetry
from chassis.log_lines import LogLines

QUIET = {"aiokafka": "WARNING", "httpx2": "WARNING", "httpcore2": "WARNING", "urllib3": "WARNING", "alembic": "WARNING"}

# The request in which a line is written.
request_id: ContextVar[str] = ContextVar("request_id", default="")


class DirectLines:
    """Writes lines past structlog at a tenth of its cost: for the line that every request and every message leaves.

    `fields` has all that the line says, its ids of request and trace too. It is the line's own dictionary afterwards.
    """

    def __init__(self) -> None:
        self.info: Callable[[str, dict[str, Any]], None] = _by_structlog
        # Where whole lines are written; None where structlog is to make them, or to leave them out.
        self.lines: LogLines | None = None
        # Whether lines of level debug are written: structlog takes longer to leave one out.
        self.debug = True
        self._service = ""
        # Which process of the service this is, where it has several; then a field of each line.
        self.process: int | None = None

    def configure(self, service: str, lines: LogLines, level: str) -> None:
        def leave_out(_event: str, _fields: dict[str, Any]) -> None:
            return

        self.debug = level == "DEBUG"
        if logging.getLevelNamesMapping()[level] <= logging.INFO:
            self.info, self.lines, self._service = self._write, lines, service
        else:
            self.info, self.lines = leave_out, None

    def beginning(self, event: str, fields: Mapping[str, Any]) -> bytes:
        """Return the part of a line that does not change, up to its last comma. `fields` has none of `info`'s own."""
        own: dict[str, Any] = {"event": event, "service": self._service, "level": "info"}
        if self.process is not None:
            own["process"] = self.process
        return dumps({**fields, **own})[:-1] + b","

    def _write(self, event: str, fields: dict[str, Any]) -> None:
        fields["event"] = event
        fields["service"] = self._service
        fields["level"] = "info"
        if self.process is not None:
            fields["process"] = self.process
        fields["timestamp"] = datetime.now(UTC)
        if self.lines is not None:
            self.lines.add(dumps(fields, orjson.OPT_UTC_Z))


def log_line(logger: str, event: str, **fields: object) -> None:
    """Write the line that a logger would write in a request, by `DirectLines`."""
    if given := request_id.get():
        fields["request_id"] = given
    ids = telemetry.ids(trace.get_current_span().get_span_context())
    direct.info(event, {"logger": logger, **fields, **ids})


def _by_structlog(event: str, fields: dict[str, Any]) -> None:
    structlog.get_logger(fields["logger"]).info(event, **fields)


direct = DirectLines()


class _Output:
    """What structlog calls with a finished line, by level."""

    def __init__(self, name: str, lines: LogLines) -> None:
        self.name = name
        self.debug = self.info = lines.add
        self.warning = self.error = self.critical = lines.add_now


class _Forward(logging.Handler):
    """Hands the records of the standard library, such as uvicorn's, to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            structlog.get_logger(record.name).log(record.levelno, record.getMessage(), exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


def setup(service: str, level: str | None = None) -> None:
    """Send all log records to stderr. Called before the settings are known, and again with their `level`."""
    lines = LogLines(sys.stderr.fileno())
    if level and not sys.stderr.isatty():
        direct.configure(service, lines, level)
    structlog.configure(
        processors=_processors(service),
        logger_factory=lambda *names: _Output(names[0] if names else "", lines),
        wrapper_class=structlog.make_filtering_bound_logger(level or "INFO"),
        # A logger that is kept keeps its level too.
        cache_logger_on_first_use=level is not None,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Forward()]
    root.setLevel(level or "INFO")
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"
    for name, quiet in QUIET.items():
        logging.getLogger(name).setLevel(quiet)
    logging.captureWarnings(capture=True)


def _processors(service: str) -> list[Processor]:
    def add_origin(logger: Any, _method: str, event: EventDict) -> EventDict:
        event["service"], event["logger"] = service, logger.name
        if direct.process is not None:
            event["process"] = direct.process
        return event

    return [
        structlog.contextvars.merge_contextvars,
        _add_request,
        add_origin,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        *_renderer(),
    ]


def _renderer() -> list[Processor]:
    if sys.stderr.isatty():
        text = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        return [lambda logger, method, event: str(text(logger, method, event)).encode()]
    return [structlog.processors.format_exc_info, _render]


def _render(_logger: object, _method: str, event: EventDict) -> bytes:
    return dumps(event)


def dumps(fields: Any, option: int = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z) -> bytes:
    try:
        return orjson.dumps(fields, default=str, option=option)
    except TypeError:
        # Half of a surrogate pair, or a number of more than 64 bits.
        return json.dumps(fields, default=str).encode()


def _add_request(_logger: object, _method: str, event: EventDict) -> EventDict:
    if given := request_id.get():
        event["request_id"] = given
    return event


def _add_trace(_logger: object, _method: str, event: EventDict) -> EventDict:
    event.update(telemetry.ids(trace.get_current_span().get_span_context()))
    return event
