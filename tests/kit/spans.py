"""Spans as tests read them: from OTLP messages, or from the JSON of a running Jaeger."""

from collections.abc import Iterable
from typing import Protocol

import httpx2
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from console.model.spans import Span, read_json

__all__ = ["Span", "read_json"]


class Reader(Protocol):
    """What keeps spans."""

    async def trace(self, trace_id: str) -> list[Span]:
        """Return the spans of one trace that have arrived so far."""


class Jaeger:
    """The spans that a Jaeger (version 2) has stored; `url` is that of its pages."""

    def __init__(self, client: httpx2.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url

    async def trace(self, trace_id: str) -> list[Span]:
        answer = await self._client.get(f"{self._url}/api/v3/traces/{trace_id}")
        if answer.status_code == 404:
            return []
        content = answer.raise_for_status().json()
        return read_json(content.get("result", content))


def read_protobuf(body: bytes) -> list[Span]:
    """Read the body of an export, OTLP over HTTP."""
    return read_json(MessageToDict(ExportTraceServiceRequest.FromString(body)))


async def connected(reader: Reader, trace_ids: Iterable[str]) -> list[Span]:
    """Read traces, and those that their spans link."""
    found: dict[str, list[Span]] = {}
    wanted = set(trace_ids)
    while unread := wanted - found.keys():
        for trace_id in unread:
            found[trace_id] = await reader.trace(trace_id)
            wanted.update(linked for span in found[trace_id] for linked, _ in span.links)
    return [span for spans in found.values() for span in spans]
