"""Spans of OTLP, and one trace of them as rows of a waterfall."""

from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]

# What OTLP calls a failure.
ERROR = (2, "STATUS_CODE_ERROR")
KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
# Stands for a name that is empty, which protobuf leaves out.
NO_NAME = "(no name)"
ORDER_ID = "app.order.id"
# The width of the widest bar; no bar begins further right.
WIDTH = 1_000.0
# A shorter bar could not be seen.
NARROWEST = 3.0
# The most rows of a page.
MAX_ROWS = 2_000
MAX_DEPTH = 30


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

    @property
    def order_id(self) -> str:
        return str(self.attributes.get(ORDER_ID, ""))


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
        span.get("name") or NO_NAME,
        _id(span["traceId"], 32),
        _id(span["spanId"], 16),
        _id(span.get("parentSpanId", ""), 16),
        tuple((_id(link["traceId"], 32), _id(link["spanId"], 16)) for link in span.get("links", ())),
        _kind(span.get("kind", 0)),
        int(span.get("startTimeUnixNano", 0)),
        int(span.get("endTimeUnixNano", 0)),
        status.get("code") in ERROR,
        _attributes(span),
        resource,
        (status.get("message", ""), *events),
    )


def _kind(kind: int | str) -> str:
    """Return the name of a kind; one that OTLP has added since is UNSPECIFIED."""
    if isinstance(kind, int):
        return KINDS[kind] if 0 <= kind < len(KINDS) else KINDS[0]
    return kind.removeprefix("SPAN_KIND_")


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


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: the span, how deep it lies, its begin after that of the trace, and its bar in units of WIDTH."""

    span: Span
    depth: int
    after_ms: float
    took_ms: float
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Waterfall:
    """One trace. `cut` counts the spans that are not shown; `orders` are those that it is about."""

    trace_id: str
    began_at: datetime
    took_ms: float
    bars: Sequence[Bar]
    services: Sequence[str]
    failed: int
    orders: Sequence[str]
    cut: int = 0

    @property
    def title(self) -> str:
        return self.bars[0].span.name

    @property
    def links(self) -> list[str]:
        """The traces that its spans link."""
        named = (trace_id for bar in self.bars for trace_id, _ in bar.span.links)
        return [each for each in dict.fromkeys(named) if each != self.trace_id]


def waterfall(spans: Iterable[Span]) -> Waterfall | None:
    """Order the spans of one trace: parents before children, then by time. None without spans."""
    unique = sorted({span.span_id: span for span in spans}.values(), key=lambda span: (span.began_ns, span.span_id))
    if not unique:
        return None
    began, ended = unique[0].began_ns, max(span.ended_ns for span in unique)
    whole = max(ended - began, 1)
    bars = []
    for span, depth in _in_order(unique):
        after, took = span.began_ns - began, max(span.ended_ns - span.began_ns, 0)
        width = max(took / whole * WIDTH, NARROWEST)
        x = min(after / whole * WIDTH, WIDTH - width)
        bars.append(Bar(span, min(depth, MAX_DEPTH), after / 1e6, took / 1e6, round(x, 1), round(width, 1)))
    return Waterfall(
        unique[0].trace_id,
        datetime.fromtimestamp(began / 1e9, UTC),
        (ended - began) / 1e6,
        bars[:MAX_ROWS],
        sorted({span.service for span in unique}),
        sum(span.failed for span in unique),
        sorted({span.order_id for span in unique if span.order_id}),
        max(len(bars) - MAX_ROWS, 0),
    )


def _in_order(unique: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    """Yield each span once with its depth. One whose parent is not there is a root; parents in a circle have none."""
    ids = {span.span_id for span in unique}
    children: dict[str, list[Span]] = defaultdict(list)
    for span in unique:
        children[span.parent_id if span.parent_id in ids else ""].append(span)
    seen: set[str] = set()
    for begin in (*children[""], *unique):
        stack = [(begin, 0)]
        while stack:
            span, depth = stack.pop()
            if span.span_id in seen:
                continue
            seen.add(span.span_id)
            yield span, depth
            stack += [(child, depth + 1) for child in reversed(children[span.span_id])]
