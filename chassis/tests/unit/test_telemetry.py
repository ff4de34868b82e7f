"""One trace from header to header: what is injected here is the parent there."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel

from chassis import telemetry
from chassis.errors import NotFound
from chassis.events import Event
from chassis.tracing import Tracing


class Payload(BaseModel):
    """Nothing but an order."""

    order_id: int = 1


def configured(ratio: float, processor: SpanProcessor) -> Tracing:
    tracing = Tracing()
    tracing.configure({"service.name": "t"}, ratio, processor)
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
    with telemetry.process_span(event.topic, event.headers):
        followed = trace.get_current_span().get_span_context().trace_id
    consumed = next(span for span in spans.get_finished_spans() if span.name == "process order.created")
    assert followed == request.get_span_context().trace_id
    assert consumed.parent is not None
    assert consumed.parent.span_id == request.get_span_context().span_id


def test_an_event_of_an_earlier_trace_links_to_the_request_that_caused_it(spans: InMemorySpanExporter) -> None:
    checkout = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    with telemetry.tracing.span("webhook") as webhook:
        event = Event.of("payment.success", "order-1", Payload(), traceparent=checkout)
    with telemetry.process_span(event.topic, event.headers):
        pass
    consumed = next(span for span in spans.get_finished_spans() if span.name == "process payment.success")
    assert f"{consumed.context.trace_id:032x}" == "a" * 32
    assert [link.context.span_id for link in consumed.links] == [webhook.get_span_context().span_id]


def test_an_event_outside_any_trace_carries_no_trace_header() -> None:
    assert "traceparent" not in Event.of("order.created", "order-1", Payload()).headers


@pytest.mark.parametrize(
    ("error", "said"),
    [(ValueError("alice@example.com"), "ValueError"), (NotFound("alice@example.com"), "not_found")],
)
def test_a_failure_is_said_on_the_span_by_its_kind_and_without_its_text(
    spans: InMemorySpanExporter, error: Exception, said: str
) -> None:
    with suppress(type(error)), telemetry.tracing.span("work"):
        raise error
    [finished] = spans.get_finished_spans()
    assert finished.attributes is not None
    assert finished.attributes["error.type"] == said
    assert (finished.status.status_code, finished.status.description) == (StatusCode.ERROR, None)
    assert finished.events == ()


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
    with telemetry.process_span("order.created", {"traceparent": TRACE, "tracestate": state}):
        event = Event.of("order.created", "order-1", Payload())
    assert ("tracestate" in event.headers) is kept


def test_the_baggage_of_a_caller_goes_no_further() -> None:
    with telemetry.process_span("order.created", {"traceparent": TRACE, "baggage": "a=" + "x" * 8000}):
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


def test_who_chooses_trace_ids_does_not_choose_how_many_are_recorded() -> None:
    """Without the key, each of these ids would be sampled."""
    chosen = range(1, 1001)

    def sampled(key: bytes) -> list[int]:
        tracing = Tracing()
        tracing.configure({"service.name": "t"}, 0.1, SimpleSpanProcessor(InMemorySpanExporter()), key)
        parents = {number: f"00-{number:032x}-{'b' * 16}-01" for number in chosen}
        spans = {n: tracing.span("s", context=telemetry.extract({"traceparent": p})) for n, p in parents.items()}
        entered = {number: stack.enter_context(span) for number, span in spans.items()}
        return [number for number, span in entered.items() if span.is_recording()]

    with ExitStack() as stack:
        ours, again, theirs = sampled(b"ours"), sampled(b"ours"), sampled(b"theirs")
    # 0.1 of 1000 draws is outside these bounds once in 10^9 runs.
    assert 40 <= len(ours) <= 170
    assert ours == again, "all services decide the same"
    assert ours != theirs


@pytest.mark.parametrize(("flags", "recorded"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_of_messages_only_those_with_the_flag_of_their_publisher_are_recorded(
    spans: InMemorySpanExporter, flags: str, recorded: bool
) -> None:
    headers = {"traceparent": f"{TRACE[:-2]}{flags}"}
    assert telemetry.tracing.may_record(headers) is recorded
    with telemetry.process_span("order.created", headers) as span:
        assert span.is_recording() is recorded
        assert f"{span.get_span_context().trace_id:032x}" == "a" * 32


def test_an_event_made_by_work_in_the_trace_of_its_order_has_that_work_as_parent(spans: InMemorySpanExporter) -> None:
    with telemetry.work_span("sweep payment", TRACE, "order-7") as work:
        event = Event.of("payment.failed", "order-7", Payload(), traceparent=TRACE)
    assert event.headers["traceparent"].split("-")[2] == f"{work.get_span_context().span_id:016x}"
    assert telemetry.LINK not in event.headers
    [span] = spans.get_finished_spans()
    assert (dict(span.attributes or {}), span.links) == ({"app.order.id": "7"}, ())


def test_work_that_a_request_of_another_trace_asked_for_links_that(spans: InMemorySpanExporter) -> None:
    with telemetry.tracing.span("POST") as request, telemetry.work_span("create invoice", TRACE, 7):
        pass
    work = next(span for span in spans.get_finished_spans() if span.name == "create invoice")
    assert [link.context.span_id for link in work.links] == [request.get_span_context().span_id]


def test_a_call_in_a_span_that_is_not_recorded_opens_none() -> None:
    with telemetry.tracing.span("GET") as outer, telemetry.client_span("GET", "/v1/products", "http://h:1") as inner:
        assert inner is outer


def test_a_call_is_about_the_order_of_the_work_that_makes_it(spans: InMemorySpanExporter) -> None:
    with (
        telemetry.work_span("create invoice", TRACE, 7),
        telemetry.client_span("POST", "/v2/invoices", "https://xendit"),
    ):
        telemetry.set_http_status(503)
    call = spans.get_finished_spans()[0]
    assert call.kind is SpanKind.CLIENT
    assert call.attributes == {
        "app.order.id": "7",
        "http.request.method": "POST",
        "url.template": "/v2/invoices",
        "server.address": "xendit",
        "server.port": 443,
        "http.response.status_code": 503,
        "error.type": "503",
    }


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
