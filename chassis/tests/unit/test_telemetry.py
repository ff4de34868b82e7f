"""One trace from header to header: what is injected here is the parent there."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from chassis import telemetry
from chassis.events import Event


class Payload(BaseModel):
    """Nothing but an order."""

    order_id: int = 1


def configured(ratio: float, processor: SpanProcessor) -> telemetry.Tracing:
    tracing = telemetry.Tracing()
    tracing.configure("t", ratio, processor)
    return tracing


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Record the spans that the chassis makes, without touching the process-wide provider."""
    exporter = InMemorySpanExporter()
    tracing = configured(1.0, SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "tracing", tracing)
    yield exporter
    tracing.provider.shutdown()


def test_a_consumed_event_continues_the_trace_of_the_request_that_published_it(spans: InMemorySpanExporter) -> None:
    with telemetry.tracing.span("POST /v1/orders/checkout") as request:
        event = Event.of("order.created", "order-1", Payload())
    with telemetry.process_span(event.topic, event.headers, {}):
        followed = trace.get_current_span().get_span_context().trace_id
    consumed = next(span for span in spans.get_finished_spans() if span.name == "process order.created")
    assert followed == request.get_span_context().trace_id
    assert consumed.parent is not None
    assert consumed.parent.span_id == request.get_span_context().span_id


def test_an_event_of_an_earlier_trace_links_to_the_request_that_caused_it(spans: InMemorySpanExporter) -> None:
    checkout = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    with telemetry.tracing.span("webhook") as webhook:
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


TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (TRACE, TRACE),
        (f"01-{TRACE[3:]}-{'x' * 1000}", None),
        (f"  {TRACE} ", TRACE),
        ("\0bad", None),
        ("", None),
        (f"{TRACE}\0", None),
        (f"00-{'0' * 32}-{'b' * 16}-01", None),
        (f"ff-{TRACE[3:]}", None),
        ("x" * 1000, None),
        (TRACE.upper(), None),
    ],
)
def test_of_a_trace_header_only_what_is_a_trace_context_is_kept(given: str, kept: str | None) -> None:
    found = telemetry.traceparent({"traceparent": given})
    assert found == kept or (kept is None and found == TRACE), "a future version is kept as far as it is known"


@pytest.mark.parametrize(("length", "kept"), [(500, True), (513, False), (8000, False)])
def test_a_trace_state_of_more_than_512_characters_goes_no_further(length: int, kept: bool) -> None:
    members = [f"a{number}={'x' * 90}" for number in range(length // 95 + 1)]
    state = ",".join(members)[:length].rstrip(",=")
    with telemetry.process_span("order.created", {"traceparent": TRACE, "tracestate": state}, {}):
        event = Event.of("order.created", "order-1", Payload())
    assert ("tracestate" in event.headers) is kept


def test_the_baggage_of_a_caller_goes_no_further() -> None:
    with telemetry.process_span("order.created", {"traceparent": TRACE, "baggage": "a=" + "x" * 8000}, {}):
        assert set(Event.of("order.created", "order-1", Payload()).headers) == {"traceparent"}


@pytest.mark.parametrize("flags", ["00", "01"])
def test_the_trace_id_decides_on_sampling_and_not_the_caller(flags: str) -> None:
    tracing = configured(0.5, SimpleSpanProcessor(InMemorySpanExporter()))
    library = tracing.provider.get_tracer("library")

    def sampled(trace_id: str) -> tuple[bool, bool]:
        parent = telemetry.extract({"traceparent": f"00-{trace_id}-{'b' * 16}-{flags}"})
        with tracing.span("s", context=parent) as span:
            context = span.get_span_context()
            assert f"{context.trace_id:032x}" == trace_id
            assert library.start_span("child").get_span_context().trace_flags == context.trace_flags
        alone = library.start_span("s", context=parent).get_span_context().trace_flags
        return context.trace_flags.sampled, alone.sampled

    assert sampled("a" * 16 + "0" * 15 + "1") == (True, True)
    assert sampled("a" * 16 + "f" * 16) == (False, False)


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_of_new_traces_the_given_part_is_recorded_and_children_follow(ratio: float) -> None:
    exporter = InMemorySpanExporter()
    tracing = configured(ratio, SimpleSpanProcessor(exporter))
    for _ in range(200):
        with tracing.span("parent") as parent, tracing.span("child") as child:
            assert child.get_span_context().trace_id == parent.get_span_context().trace_id
            assert child.get_span_context().trace_flags == parent.get_span_context().trace_flags
    # 0.5 of 200 draws is outside these bounds once in 10^11 runs.
    recorded = len(exporter.get_finished_spans()) / 2
    assert {0.0: 0 <= recorded <= 0, 0.5: 50 <= recorded <= 150, 1.0: recorded == 200}[ratio]
    tracing.provider.shutdown()


def test_a_span_that_is_not_recorded_carries_the_trace_on_and_ends_with_its_block() -> None:
    given = {"traceparent": TRACE, "tracestate": "a=b"}
    with telemetry.tracing.span("GET", context=telemetry.extract(given)) as span:
        sent = telemetry.inject({})
        own = span.get_span_context()
    assert sent == {"traceparent": f"00-{'a' * 32}-{own.span_id:016x}-00", "tracestate": "a=b"}
    assert telemetry.inject({}) == {}


def test_a_collector_that_does_not_answer_does_not_hold_up_the_end_of_the_process() -> None:
    code = """
import asyncio, sys, time
from chassis import telemetry
provider = telemetry.setup("t", sys.argv[1], 1.0)
for number in range(5):
    with telemetry.tracing.span("s"): pass
asyncio.run(telemetry.shut_down(provider, 1.0))
"""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", code, address], check=True, timeout=60)
    assert time.monotonic() - began < 10, "the exporter alone would wait longer"
