"""The spans of what the relay has sent: of recorded traces only, from the row's insertion to the ack."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from chassis import telemetry
from chassis.db.outbox_queue import OutboxRow
from chassis.kafka import send_spans
from chassis.kafka.producer import Place

from .test_telemetry import configured

CHECKOUT, WEBHOOK = "b" * 16, "d" * 16
SAMPLED, UNSAMPLED = f"00-{'a' * 32}-{CHECKOUT}-01", f"00-{'a' * 32}-{CHECKOUT}-00"
LINKED = {"traceparent": SAMPLED, "x-link-traceparent": f"00-{'c' * 32}-{WEBHOOK}-01"}


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Record all spans."""
    exporter = InMemorySpanExporter()
    tracing = configured(1.0, SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "tracing", tracing)
    yield exporter
    tracing.provider.shutdown()


def row(number: int, headers: dict[str, str], age_s: float = 3, key: str = "order-7") -> OutboxRow:
    created = datetime.now(UTC) - timedelta(seconds=age_s)
    return OutboxRow(number, UUID(int=number), "payment.success", key, "{}", headers, created, 0)


def test_a_send_span_lasts_from_the_row_to_the_ack_and_says_where_the_event_is(spans: InMemorySpanExporter) -> None:
    waited = row(2, LINKED)
    send_spans.add([row(1, {"traceparent": UNSAMPLED}), waited, row(3, {})], Place(partition=4, offset=10))
    [span] = spans.get_finished_spans()
    assert (span.name, span.kind) == ("send payment.success", SpanKind.PRODUCER)
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == CHECKOUT
    assert [f"{link.context.span_id:016x}" for link in span.links] == [WEBHOOK]
    assert span.start_time == int(waited.created_at.timestamp() * 1e9)
    assert span.end_time is not None
    assert 3e9 <= span.end_time - span.start_time < 60e9
    assert span.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.type": "send",
        "messaging.operation.name": "send",
        "messaging.destination.name": "payment.success",
        "messaging.destination.partition.id": "4",
        "messaging.kafka.offset": 11,
        "messaging.kafka.message.key": "order-7",
        "messaging.message.id": str(waited.event_id),
        "app.order.id": "7",
    }


def test_a_span_is_never_shorter_than_nothing_when_the_databases_clock_is_ahead(spans: InMemorySpanExporter) -> None:
    send_spans.add([row(1, LINKED, age_s=-3600)], Place(0, 0))
    [span] = spans.get_finished_spans()
    assert span.end_time == span.start_time


def test_a_key_that_is_not_an_orders_is_not_shown(spans: InMemorySpanExporter) -> None:
    send_spans.add([row(1, LINKED, key="alice@example.com")], Place(0, 0))
    [span] = spans.get_finished_spans()
    assert "alice@example.com" not in repr(span.attributes)


def test_a_process_that_records_no_trace_makes_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    tracing = configured(0.0, SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "tracing", tracing)
    send_spans.add([row(1, LINKED)], Place(0, 0))
    assert exporter.get_finished_spans() == ()
