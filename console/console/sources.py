"""Makes the readers of topics, traces and log lines that the settings name."""

from pathlib import Path
from typing import Any

import httpx2

from chassis.kafka.connection import connection
from chassis.resources import Connections
from console.client.groups import Groups
from console.client.jaeger import Jaeger, NoStore
from console.client.kafka import KafkaReader
from console.client.log_lines import LogFiles, Logs, Loki, NoLogs, VictoriaLogs
from console.client.poison import PoisonSender
from console.client.span_ring import SpanRing
from console.client.topics import Topics
from console.config import Settings
from console.handler import lab


def sources(settings: Settings, connections: Connections, http: httpx2.AsyncClient) -> dict[str, Any]:
    """Return what the pages about events, traces, logs and the lab find in `app.state`."""
    kafka = KafkaReader(**connection(settings), client_id="console-events")
    connections.close.append(kafka.close)
    return {
        "topics": Topics(kafka),
        "groups": Groups(kafka),
        "traces": _traces(settings, http),
        "logs": _logs(settings, http),
        "poison": PoisonSender(connection(settings)),
        "lab": lab.history(),
    }


def _traces(settings: Settings, http: httpx2.AsyncClient) -> SpanRing | Jaeger:
    """A local stack may send its spans to the console itself."""
    if settings.traces_url:
        return Jaeger(http, settings.traces_url)
    return NoStore() if settings.environment == "production" else SpanRing()


def _logs(settings: Settings, http: httpx2.AsyncClient) -> Logs:
    if settings.logs_url:
        return (Loki if settings.logs_kind == "loki" else VictoriaLogs)(http, settings.logs_url)
    return LogFiles(Path(settings.logs_dir)) if settings.logs_dir else NoLogs()
