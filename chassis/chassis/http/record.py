"""What each request leaves: its metric and its log line, of which most is the same for all of one route."""

from datetime import UTC, datetime
from functools import cache

import orjson
import structlog
from prometheus_client import Histogram

from chassis import logging
from chassis.log_lines import LogLines

# The name that operators filter these lines by.
LOGGER = "chassis.http.middleware"
log = structlog.get_logger(LOGGER)

REQUESTS = Histogram(
    "http_request_duration_seconds",
    "Time from the request's head to the answer's end, by route template",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_LINE = b'%b"duration_ms":%.2f,"timestamp":%b,%b'


class Record:
    """The metric and the log lines of one method, route and status. There are as many as there are metrics."""

    def __init__(self, method: str, route: str, status: int) -> None:
        self._same = {"method": method, "route": route, "status_code": status, "logger": LOGGER}
        self._lines: LogLines | None = None
        self._beginning = b""
        self.observe = REQUESTS.labels(method, route, str(status)).observe

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
