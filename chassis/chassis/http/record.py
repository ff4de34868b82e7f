"""The metric and the log line of a request. Most of a line is the same for all requests of a route."""

from datetime import UTC, datetime
from functools import cache

import orjson
import structlog

from chassis import logging
from chassis.log_lines import LogLines
from chassis.metrics import Histogram

# The name that operators filter these lines by.
LOGGER = "chassis.http.middleware"
log = structlog.get_logger(LOGGER)

REQUESTS = Histogram(
    "http_server_request_duration_seconds",
    "Time from the request's head to the answer's end, by route template",
    ["http_request_method", "http_route", "http_response_status_code", "error_type"],
)
_LINE = b'%b"duration_ms":%.2f,"timestamp":%b,%b'


class Record:
    """The metric and the log lines of one method, route and status. There are as many as there are metrics."""

    def __init__(self, method: str, route: str, status: int) -> None:
        self._same = {"method": method, "route": route, "status_code": status, "logger": LOGGER}
        self._lines: LogLines | None = None
        self._beginning = b""
        series = REQUESTS.labels(method, route, str(status), str(status) if status >= 500 else "")
        self.observe, self.observe_traced = series.observe, series.observe_traced

    def log(self, path: str, duration_ms: float, request_id: str, span: tuple[int, int]) -> None:
        """Write the line of a request; `span` has the trace id and the span id."""
        lines = logging.direct.lines
        ids = {"request_id": request_id, "trace_id": f"{span[0]:032x}", "span_id": f"{span[1]:016x}"}
        if lines is None:
            log.info("request", path=path, duration_ms=round(duration_ms, 2), **ids, **self._same)
            return
        if lines is not self._lines:
            self._lines, self._beginning = lines, logging.direct.beginning("request", self._same)
        now = orjson.dumps(datetime.now(UTC), None, orjson.OPT_UTC_Z)
        lines.add(_LINE % (self._beginning, duration_ms, now, logging.dumps({"path": path, **ids})[1:]))

    def log_probe(self, path: str, duration_ms: float) -> None:
        log.debug("request", path=path, duration_ms=round(duration_ms, 2), **self._same)


record_of = cache(Record)
