"""Spans as tests read them: from OTLP messages, or from the JSON of a running Jaeger."""

from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Json = Mapping[str, Any]

# What OTLP calls a failure.
ERROR = 2
KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")


@dataclass(frozen=True)
class Span:
    """One span; ids as hex digits, `parent_id` is "" for a root, `links` are (trace id, span id), times in ns."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[tuple[str, str], ...] = ()
    kind: str = "INTERNAL"
    began_ns: int = 0
    ended_ns: int = 0
    failed: bool = False
    attributes: Json = field(default_factory=dict)
    resource: Json = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    """What else the span holds of free text: its status, and its events with their attributes."""

    @property
    def node(self) -> str:
        return f"{self.service} {self.name}"


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


def read_json(content: Json) -> list[Span]:
    """Read OTLP as JSON, with ids as hex digits or, as protobuf writes them, in base64."""
    spans = []
    for group in content.get("resourceSpans", ()):
        resource = _attributes(group.get("resource", {}))
        for scope in group.get("scopeSpans", ()):
            spans += [_span(span, resource) for span in scope.get("spans", ())]
    return spans


def _span(span: Json, resource: Json) -> Span:
    status = span.get("status", {})
    events = [f"{event.get('name', '')} {_attributes(event)}" for event in span.get("events", ())]
    return Span(
        str(resource.get("service.name", "")),
        span["name"],
        _id(span["traceId"], 32),
        _id(span["spanId"], 16),
        _id(span.get("parentSpanId", ""), 16),
        tuple((_id(link["traceId"], 32), _id(link["spanId"], 16)) for link in span.get("links", ())),
        _kind(span.get("kind", 0)),
        int(span.get("startTimeUnixNano", 0)),
        int(span.get("endTimeUnixNano", 0)),
        status.get("code") in (ERROR, "STATUS_CODE_ERROR"),
        _attributes(span),
        resource,
        (status.get("message", ""), *events),
    )


def _kind(kind: int | str) -> str:
    return KINDS[kind] if isinstance(kind, int) else kind.removeprefix("SPAN_KIND_")


def _id(given: str, digits: int) -> str:
    return given if len(given) in (0, digits) else b64decode(given).hex()


def _attributes(holder: Json) -> dict[str, Any]:
    return {item["key"]: _value(item.get("value", {})) for item in holder.get("attributes", ())}


def _value(value: Json) -> Any:
    content: Any
    kind, content = next(iter(value.items()), ("", None))
    if kind == "intValue":
        return int(content)
    if kind == "arrayValue":
        return [_value(each) for each in content.get("values", ())]
    return content


async def connected(reader: Reader, trace_ids: Iterable[str]) -> list[Span]:
    """Read traces, and those that their spans link."""
    found: dict[str, list[Span]] = {}
    wanted = set(trace_ids)
    while unread := wanted - found.keys():
        for trace_id in unread:
            found[trace_id] = await reader.trace(trace_id)
            wanted.update(linked for span in found[trace_id] for linked, _ in span.links)
    return [span for spans in found.values() for span in spans]
