"""The simulator's log: one JSON object a line, as docs/logs.schema.json says, like the lines of the services."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

SERVICE = "xendit"


class Lines(logging.Formatter):
    """Makes a line of a record; what was given as `extra={"fields": {...}}` becomes fields of it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "service": SERVICE,
            "event": record.getMessage() or record.name,
            "logger": record.name,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def setup() -> None:
    """Send all records to stderr, those of uvicorn too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.captureWarnings(capture=True)
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
