"""One trace from header to header: what is injected here is the parent there."""

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from chassis import telemetry
from chassis.events import Event


class Payload(BaseModel):
    """Nothing but an order."""

    order_id: int = 1


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Record the spans that the chassis makes, without touching the process-wide provider."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def test_a_consumed_event_continues_the_trace_of_the_request_that_published_it(spans: InMemorySpanExporter) -> None:
    with telemetry.tracer.start_as_current_span("POST /v1/orders/checkout") as request:
        event = Event.of("order.created", "order-1", Payload())
    with telemetry.process_span(event.topic, event.headers, {}):
        followed = trace.get_current_span().get_span_context().trace_id
    consumed = next(span for span in spans.get_finished_spans() if span.name == "process order.created")
    assert followed == request.get_span_context().trace_id
    assert consumed.parent is not None
    assert consumed.parent.span_id == request.get_span_context().span_id


def test_an_event_of_an_earlier_trace_links_to_the_request_that_caused_it(spans: InMemorySpanExporter) -> None:
    checkout = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    with telemetry.tracer.start_as_current_span("webhook") as webhook:
        event = Event.of("payment.success", "order-1", Payload(), traceparent=checkout)
    with telemetry.process_span(event.topic, event.headers, {}):
        pass
    consumed = next(span for span in spans.get_finished_spans() if span.name == "process payment.success")
    assert f"{consumed.context.trace_id:032x}" == "a" * 32
    assert [link.context.span_id for link in consumed.links] == [webhook.get_span_context().span_id]


def test_an_event_outside_any_trace_carries_no_trace_header() -> None:
    assert "traceparent" not in Event.of("order.created", "order-1", Payload()).headers


def test_a_failure_is_said_on_the_span(spans: InMemorySpanExporter) -> None:
    with telemetry.process_span("order.created", {}, {}) as span:
        telemetry.mark_failed(span, ValueError("cannot"))
    [finished] = spans.get_finished_spans()
    assert finished.status.description == "ValueError: cannot"
