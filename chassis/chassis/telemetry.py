"""OpenTelemetry: the tracer provider, and the W3C trace context in dictionaries of headers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanKind, StatusCode

tracer = trace.get_tracer("chassis")

# Returns the trace context of headers; an empty one when they carry none.
extract = propagate.extract


def setup(service: str, endpoint: str | None, ratio: float) -> TracerProvider:
    """Install the tracer provider of this process. Spans go to `endpoint` by OTLP over HTTP.

    Without an endpoint nothing is sampled; trace ids are still passed on.
    """
    sampler = ParentBased(TraceIdRatioBased(ratio if endpoint else 0.0))
    provider = TracerProvider(resource=Resource.create({"service.name": service}), sampler=sampler)
    if endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        url = endpoint.rstrip("/")
        url = url if url.endswith("/v1/traces") else f"{url}/v1/traces"
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=5)))
    trace.set_tracer_provider(provider)
    return provider


def inject(headers: dict[str, str]) -> dict[str, str]:
    """Add `traceparent` (and `tracestate`) of the current span to `headers`, and return it."""
    propagate.inject(headers)
    return headers


@contextmanager
def process_span(topic: str, headers: Mapping[str, str], attributes: Mapping[str, str | int]) -> Iterator[Span]:
    """Open the span of a consumed message, as a child of the span that published it."""
    links = []
    if linked := headers.get("x-link-traceparent"):
        context = trace.get_current_span(extract({"traceparent": linked})).get_span_context()
        if context.is_valid:
            links.append(Link(context))
    with tracer.start_as_current_span(
        f"process {topic}",
        context=extract(headers),
        kind=SpanKind.CONSUMER,
        attributes=dict(attributes),
        links=links,
        set_status_on_exception=False,
    ) as span:
        yield span


def mark_failed(span: Span, error: BaseException) -> None:
    span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
