"""OpenTelemetry: the tracer provider, and the W3C trace context in dictionaries of headers.

Headers come from outside. What does not parse is left out, and so is a `tracestate` of more than 512 characters.
"""

import asyncio
import random
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from typing import Self

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# Without baggage, which would carry a caller's text from service to service.
_W3C = TraceContextTextMapPropagator()

# The least that the specification asks to pass on: what is longer would be stored with each event.
MAX_TRACESTATE_BYTES = 512

# Under which a context holds its span.
[_SPAN_KEY] = trace.set_span_in_context(trace.INVALID_SPAN, Context())


class _Ids(RandomIdGenerator):
    """Gives the next trace the id by which it was sampled."""

    def __init__(self) -> None:
        self.next_trace_id = 0

    def generate_trace_id(self) -> int:
        trace_id, self.next_trace_id = self.next_trace_id, 0
        return trace_id or super().generate_trace_id()


class Tracing:
    """Opens spans. The trace id decides whether a trace is sampled, also when its parent is remote.

    So all services agree, and a caller's sampled flag decides nothing. A span that is not sampled is not made by the
    SDK, where it would cost several times more: it only carries its ids on.
    """

    def __init__(self) -> None:
        self.configure("", 0.0, None)

    def configure(self, service: str, ratio: float, processor: SpanProcessor | None) -> None:
        """Hand the spans of this part of all traces to `processor`. Without one nothing is sampled."""
        by_trace_id = TraceIdRatioBased(ratio if processor else 0.0)
        self._bound = by_trace_id.bound
        self._ids = _Ids()
        self.provider = TracerProvider(
            # Decides as `span` does, for the spans of libraries.
            sampler=ParentBased(by_trace_id, remote_parent_sampled=by_trace_id, remote_parent_not_sampled=by_trace_id),
            resource=Resource.create({"service.name": service}),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        self._tracer = self.provider.get_tracer("chassis")
        if processor is not None:
            self.provider.add_span_processor(processor)

    def span(
        self,
        name: str,
        *,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, str | int] | None = None,
        links: list[Link] | None = None,
        set_status_on_exception: bool = True,
    ) -> AbstractContextManager[Span]:
        """Open a span as the current one, a child of the span in `context` or else of the current one."""
        # An empty context has no parent.
        parent = trace.INVALID_SPAN_CONTEXT if context == {} else trace.get_current_span(context).get_span_context()
        if parent.is_valid and not parent.is_remote:
            trace_id, sampled = parent.trace_id, parent.trace_flags.sampled
        else:
            trace_id = parent.trace_id if parent.is_valid else random.getrandbits(128) or 1
            sampled = self._samples(trace_id)
        if not sampled:
            return _Unrecorded(trace_id, parent.trace_state, context)
        if not parent.is_valid:
            self._ids.next_trace_id = trace_id
        return self._tracer.start_as_current_span(
            name,
            context=context,
            kind=kind,
            attributes=attributes,
            links=links,
            set_status_on_exception=set_status_on_exception,
        )

    def may_record(self, headers: Mapping[str, str]) -> bool:
        """Whether a span that continues the trace of these headers may be recorded; without a trace, chance decides."""
        if not self._bound:
            return False
        parent = trace.get_current_span(extract(headers)).get_span_context()
        return not parent.is_valid or self._samples(parent.trace_id)

    def unrecorded(self, headers: Mapping[str, str]) -> SpanContext:
        """Return a span that is recorded nowhere, in the trace of these headers or else in a new one."""
        parent = trace.get_current_span(extract(headers)).get_span_context()
        trace_id = parent.trace_id if parent.is_valid else random.getrandbits(128) or 1
        return _Unrecorded(trace_id, parent.trace_state, None).get_span_context()

    def _samples(self, trace_id: int) -> bool:
        return trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound


class _Unrecorded(trace.NonRecordingSpan):
    """A span that is recorded nowhere, and the current one inside its block.

    Its context is made when it is first asked for, which most requests never do.
    """

    def __init__(self, trace_id: int, state: trace.TraceState, context: Context | None) -> None:
        self.numbers = (trace_id, random.getrandbits(64) or 1)
        self._state = state
        self._around = context
        self._made: SpanContext | None = None

    def __enter__(self) -> Self:
        if self._around == {}:
            self._token = contexts.attach(Context({_SPAN_KEY: self}))
        else:
            self._token = contexts.attach(trace.set_span_in_context(self, self._around))
        return self

    def __exit__(self, *_: object) -> None:
        contexts.detach(self._token)

    def get_span_context(self) -> SpanContext:
        if self._made is None:
            self._made = SpanContext(*self.numbers, is_remote=False, trace_state=self._state)
        return self._made

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.get_span_context()!r})"


tracing = Tracing()


def setup(service: str, endpoint: str | None, ratio: float) -> TracerProvider:
    """Install the tracing of this process, also for libraries, and return its provider.

    Spans go to `endpoint` by OTLP over HTTP. Without one nothing is sampled; trace ids are still passed on.
    """
    tracing.configure(service, ratio, _exporting(endpoint) if endpoint else None)
    trace.set_tracer_provider(tracing.provider)
    return tracing.provider


async def shut_down(provider: TracerProvider, timeout_s: float) -> None:
    """Send the last spans, for at most `timeout_s`: a collector that does not answer must not hold up the stop."""
    loop = asyncio.get_running_loop()
    sent = asyncio.Event()

    def work() -> None:
        provider.shutdown()
        # Later than `timeout_s` the loop is closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(sent.set)

    # No thread of the executor: the process would wait for it at its end.
    threading.Thread(target=work, name="telemetry-shutdown", daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await sent.wait()


def extract(headers: Mapping[str, str]) -> Context:
    """Return the trace context of headers; an empty one when they carry none that is valid."""
    state = headers.get("tracestate", "")
    carrier = {"traceparent": headers.get("traceparent", "")}
    if 0 < len(state) <= MAX_TRACESTATE_BYTES:
        carrier["tracestate"] = state
    return _W3C.extract(carrier)


def traceparent(headers: Mapping[str, str]) -> str | None:
    """Return the `traceparent` of headers in its shortest form; None when it is missing or not valid."""
    return inject({}, extract(headers)).get("traceparent")


def inject(headers: dict[str, str], context: Context | None = None) -> dict[str, str]:
    """Add `traceparent` (and `tracestate`) of the current span, or of `context`, to `headers`, and return it."""
    _W3C.inject(headers, context)
    return headers


def is_recorded() -> bool:
    """Return whether the current span is recorded."""
    return trace.get_current_span().is_recording()


def _exporting(endpoint: str) -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    url = endpoint.rstrip("/")
    url = url if url.endswith("/v1/traces") else f"{url}/v1/traces"
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=5))


def process_span(
    topic: str, headers: Mapping[str, str], attributes: Mapping[str, str | int]
) -> AbstractContextManager[Span]:
    """Open the span of a consumed message, as a child of the span that published it."""
    links = []
    if linked := headers.get("x-link-traceparent"):
        context = trace.get_current_span(extract({"traceparent": linked})).get_span_context()
        if context.is_valid:
            links.append(Link(context))
    return tracing.span(
        f"process {topic}",
        context=extract(headers),
        kind=SpanKind.CONSUMER,
        attributes=attributes,
        links=links,
        set_status_on_exception=False,
    )


def ids(context: SpanContext) -> dict[str, str]:
    """Return the ids of a span as log lines carry them; nothing outside any trace."""
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def numbers(span: Span) -> tuple[int, int]:
    """Return the ids of a trace and of its span that `Tracing.span` has opened."""
    if isinstance(span, _Unrecorded):
        return span.numbers
    context = span.get_span_context()
    return context.trace_id, context.span_id


def mark_failed(span: Span, error: BaseException) -> None:
    span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
