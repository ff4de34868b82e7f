"""Connections that give each statement of a recorded trace a span: for a closer look, see OTEL_DATABASE_SPANS."""

from typing import Any

from opentelemetry.trace import SpanKind

from chassis import telemetry
from chassis.db.pool import PooledConnection

MAX_TEXT = 2_000


class TracedConnection(PooledConnection):
    """Opens a span for each statement, with its text, and so never with a value: those are parameters."""

    __slots__ = ()

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        with self._span(query):
            return await super().execute(query, *args, **options)

    async def executemany(self, command: str, *args: Any, **options: Any) -> Any:
        with self._span(command):
            return await super().executemany(command, *args, **options)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        with self._span(query):
            return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        with self._span(query):
            return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        with self._span(query):
            return await super().fetchval(query, *args, **options)

    def _span(self, query: str) -> Any:
        operation = query.split(None, 1)[0].rstrip(";").upper()
        attributes = {
            "db.system.name": "postgresql",
            "db.operation.name": operation,
            "db.query.text": query[:MAX_TEXT],
        }
        return telemetry.tracing.child(operation, kind=SpanKind.CLIENT, attributes=attributes)
