"""The last spans that were sent to the console, in memory: traces of a local stack, without a server for them."""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, TracesData

from console.model.spans import Span, read_json

MAX_SPANS = 20_000
MAX_BYTES = 30 * 1024 * 1024
# The memory that a span takes in the tables, beside its bytes.
OVERHEAD = 400


class NotSpans(Exception):
    """What was sent is not a message of spans."""


@dataclass(frozen=True, slots=True)
class _Kept:
    trace_id: str
    linked: tuple[str, ...]
    arrived_at: datetime
    content: bytes
    """One span with its resource, as OTLP writes it: decoded it would be five times as large."""

    @property
    def size(self) -> int:
        return len(self.content) + OVERHEAD


class SpanRing:
    """At most MAX_SPANS spans of at most MAX_BYTES; the oldest leave first."""

    def __init__(self, max_spans: int = MAX_SPANS, max_bytes: int = MAX_BYTES) -> None:
        self._max_spans, self._max_bytes = max_spans, max_bytes
        self._kept: deque[_Kept] = deque()
        self._size = 0
        self._traces: OrderedDict[str, deque[_Kept]] = OrderedDict()

    def add(self, body: bytes) -> None:
        """Keep the spans of an export, OTLP over HTTP. Raises NotSpans."""
        try:
            request = ExportTraceServiceRequest.FromString(body)
        except DecodeError as error:
            raise NotSpans(str(error)) from None
        now = datetime.now(UTC)
        for group in request.resource_spans:
            for scope in group.scope_spans:
                for span in scope.spans:
                    if len(span.trace_id) == 16 and len(span.span_id) == 8:
                        alone = ResourceSpans(resource=group.resource)
                        alone.scope_spans.add().spans.add().CopyFrom(span)
                        linked = tuple({link.trace_id.hex() for link in span.links} - {span.trace_id.hex()})
                        self._keep(_Kept(span.trace_id.hex(), linked, now, alone.SerializeToString()))

    def _keep(self, kept: _Kept) -> None:
        self._kept.append(kept)
        self._size += kept.size
        self._traces.setdefault(kept.trace_id, deque()).append(kept)
        self._traces.move_to_end(kept.trace_id)
        while len(self._kept) > self._max_spans or self._size > self._max_bytes:
            oldest = self._kept.popleft()
            self._size -= oldest.size
            rest = self._traces[oldest.trace_id]
            rest.popleft()
            if not rest:
                del self._traces[oldest.trace_id]

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def since(self) -> datetime | None:
        """When the oldest span came that is kept."""
        return self._kept[0].arrived_at if self._kept else None

    async def trace(self, trace_id: str) -> list[Span]:
        """Return the spans of one trace that have arrived so far."""
        return _decoded(self._traces.get(trace_id, ()))

    async def linking(self, trace_id: str) -> list[str]:
        """Return the traces whose spans link this one."""
        return list(dict.fromkeys(kept.trace_id for kept in self._kept if trace_id in kept.linked))

    async def newest(self, limit: int) -> list[list[Span]]:
        """Return the traces that got a span last, the latest first."""
        ids = list(reversed(self._traces))[:limit]
        return [_decoded(self._traces[each]) for each in ids]


def _decoded(kept: Iterable[_Kept]) -> list[Span]:
    whole = TracesData()
    for each in kept:
        whole.resource_spans.add().MergeFromString(each.content)
    return read_json(MessageToDict(whole))
