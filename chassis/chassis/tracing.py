"""Which traces are recorded, and spans: those of the SDK, and those that only carry their ids on."""

import random
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from hashlib import blake2b
from typing import Any, Final, Self

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode

from chassis.trace_context import extract, is_sampled, span_context, usual_trace_id

# Under which a context holds its span.
[_SPAN_KEY] = trace.set_span_in_context(trace.INVALID_SPAN, Context())
# As text: Jaeger finds no span by a number.
ORDER_ID: Final = "app.order.id"


class _ByTraceId(TraceIdRatioBased):
    """Samples a part of all trace ids: those whose hash with a secret key is small.

    Without the key a caller could choose ids that are all sampled. The services share it, and so agree on each trace.
    """

    def __init__(self, ratio: float, key: bytes) -> None:
        super().__init__(ratio)
        self._key = key

    def samples(self, trace_id: int) -> bool:
        if 0 < self.bound <= self.TRACE_ID_LIMIT and self._key:
            digest = blake2b(trace_id.to_bytes(16, "big"), digest_size=8, key=self._key).digest()
            trace_id = int.from_bytes(digest, "big")
        return trace_id & self.TRACE_ID_LIMIT < self.bound

    def should_sample(self, parent_context: Context | None, trace_id: int, *given: Any, **named: Any) -> SamplingResult:
        """Decide as `samples` does, for the spans of libraries."""
        decided = 0 if self.samples(trace_id) else self.TRACE_ID_LIMIT
        return super().should_sample(parent_context, decided, *given, **named)


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
        self.configure({"service.name": ""}, 0.0, None)

    def configure(
        self, resource: Mapping[str, str], ratio: float, processor: SpanProcessor | None, key: bytes = b""
    ) -> None:
        """Hand the spans of this part of all traces to `processor`. Without one nothing is sampled."""
        self._by_trace_id = by_trace_id = _ByTraceId(ratio if processor else 0.0, key)
        self._ids = _Ids()
        self.provider = TracerProvider(
            sampler=ParentBased(by_trace_id, remote_parent_sampled=by_trace_id, remote_parent_not_sampled=by_trace_id),
            resource=Resource.create(resource),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        self.tracer = self.provider.get_tracer("chassis")
        if processor is not None:
            self.provider.add_span_processor(processor)

    @property
    def records(self) -> bool:
        """Whether any trace is recorded."""
        return self._by_trace_id.bound > 0

    def span(
        self,
        name: str,
        *,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, str | int] | None = None,
        links: list[Link] | None = None,
        marks_failure: bool = True,
    ) -> AbstractContextManager[Span]:
        """Open a span as the current one, a child of the span in `context` or else of the current one.

        An exception that leaves its block marks it as failed, unless `marks_failure` is False.
        """
        # An empty context has no parent.
        parent = trace.INVALID_SPAN_CONTEXT if context == {} else trace.get_current_span(context).get_span_context()
        if parent.is_valid and not parent.is_remote:
            trace_id, sampled = parent.trace_id, parent.trace_flags.sampled
        else:
            trace_id = parent.trace_id if parent.is_valid else random.getrandbits(128) or 1
            sampled = self._by_trace_id.samples(trace_id)
        if not sampled:
            return _Unrecorded(trace_id, parent.trace_state, context)
        if not parent.is_valid:
            self._ids.next_trace_id = trace_id
        span = self.tracer.start_span(name, context=context, kind=kind, attributes=attributes, links=links)
        return _Recorded(span, context, marks_failure=marks_failure)

    def entered(
        self, name: str, headers: Mapping[str, str], *, marks_failure: bool = True
    ) -> AbstractContextManager[Span]:
        """Open the span of a request with these headers, as `span` does; faster, if it is not sampled."""
        usual = usual_trace_id(headers.get("traceparent", "")) if "tracestate" not in headers else None
        if usual and not self._by_trace_id.samples(trace_id := int(usual, 16)):
            return _Unrecorded(trace_id, _NO_STATE, _NO_PARENT)
        parent = extract(headers) if headers else _NO_PARENT
        return self.span(name, context=parent, kind=SpanKind.SERVER, marks_failure=marks_failure)

    def child(
        self, name: str, *, kind: SpanKind = SpanKind.INTERNAL, attributes: Mapping[str, str | int] | None = None
    ) -> AbstractContextManager[Span]:
        """Open a child of the current span, if that is recorded. Else the current span stays the current one.

        It is about the same order.
        """
        current = trace.get_current_span()
        if not current.is_recording():
            return nullcontext(current)
        given = current.attributes if isinstance(current, ReadableSpan) else None
        order = {ORDER_ID: str(given[ORDER_ID])} if given and ORDER_ID in given else {}
        return self.span(name, kind=kind, attributes={**order, **(attributes or {})})

    def may_record(self, headers: Mapping[str, str]) -> bool:
        """Whether the span of a message with these headers may be recorded; without a trace, chance decides.

        Unlike a caller of HTTP, who publishes is trusted: without the sampled flag nothing else is read. With it the
        trace id still decides: recorded messages are in no runs, which a flag on each would end.
        """
        if not self._by_trace_id.bound:
            return False
        given = headers.get("traceparent")
        if given is None or not is_sampled(given):
            return given is None
        return not (usual := usual_trace_id(given)) or self._by_trace_id.samples(int(usual, 16))

    def unrecorded(self, headers: Mapping[str, str]) -> "_Unrecorded":
        """Return a span that is recorded nowhere, in the trace of these headers or else in a new one."""
        given = headers.get("traceparent", "")
        if "tracestate" not in headers and (usual := usual_trace_id(given)):
            return _Unrecorded(int(usual, 16), _NO_STATE, _NO_PARENT)
        parent = span_context(headers) if given else trace.INVALID_SPAN_CONTEXT
        trace_id = parent.trace_id if parent.is_valid else random.getrandbits(128) or 1
        return _Unrecorded(trace_id, parent.trace_state, _NO_PARENT)

    def continued(
        self, name: str, headers: Mapping[str, str], kind: SpanKind, links: list[Link] | None = None
    ) -> AbstractContextManager[Span]:
        """Open the span of a message with these headers, a child of the one that they name; see `may_record`."""
        if not self.may_record(headers):
            return self.unrecorded(headers)
        return self.span(name, context=extract(headers), kind=kind, links=links, marks_failure=False)


_NO_PARENT = Context()
_NO_STATE = trace.TraceState()


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


class _Recorded:
    """The block in which a span of the SDK is the current one. The span ends with it."""

    def __init__(self, span: Span, context: Context | None, *, marks_failure: bool) -> None:
        self._span = span
        self._around = context
        self._marks_failure = marks_failure

    def __enter__(self) -> Span:
        self._token = contexts.attach(trace.set_span_in_context(self._span, self._around))
        return self._span

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        contexts.detach(self._token)
        if error is not None and self._marks_failure and not _has_error(self._span):
            mark_failed(self._span, error)
        self._span.end()


def _has_error(span: Span) -> bool:
    return isinstance(span, ReadableSpan) and "error.type" in (span.attributes or {})


def mark_failed(span: Span, error: BaseException) -> None:
    """Say on a span what went wrong: by a stable code, or the name of the cause's class.

    The text of an error may quote what a person has sent, so it is in the log only, where the span's ids are too.
    """
    code = getattr(error, "code", None)
    set_error(span, code if isinstance(code, str) else type(error.__cause__ or error).__name__)


def set_error(span: Span, error_type: str) -> None:
    span.set_status(StatusCode.ERROR)
    span.set_attribute("error.type", error_type)


def numbers(span: Span) -> tuple[int, int]:
    """Return the ids of a trace and of its span that `Tracing.span` has opened."""
    if isinstance(span, _Unrecorded):
        return span.numbers
    context = span.get_span_context()
    return context.trace_id, context.span_id
