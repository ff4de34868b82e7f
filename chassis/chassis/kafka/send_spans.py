"""The span of each event that the relay has sent: from its row's insertion to the ack, with the wait in between."""

import time
from collections.abc import Sequence

from opentelemetry.trace import SpanKind

from chassis import clock, telemetry
from chassis.db.outbox_queue import OutboxRow
from chassis.kafka.producer import Place
from chassis.trace_context import extract, is_sampled


def add(rows: Sequence[OutboxRow], stored: Place) -> None:
    """Make the spans of rows that were acknowledged just now as one batch, each a child of the span that wrote its row.

    Only of rows in recorded traces: of all others the sampled flag is read.
    """
    if not telemetry.tracing.records:
        return
    for offset, row in enumerate(rows, start=stored.offset):
        if is_sampled(row.headers.get("traceparent", "")):
            _add(row, Place(stored.partition, offset if stored.offset >= 0 else -1))


def _add(row: OutboxRow, stored: Place) -> None:
    began_ns = int((row.created_at.timestamp() - clock.ahead_s()) * 1e9)
    span = telemetry.tracing.tracer.start_span(
        f"send {row.topic}",
        context=extract(row.headers),
        kind=SpanKind.PRODUCER,
        links=telemetry.links(row.headers),
        start_time=began_ns,
        attributes={
            **telemetry.messaging("send", row.topic, stored.partition, row.key),
            "messaging.kafka.offset": stored.offset,
            "messaging.message.id": str(row.event_id),
        },
    )
    # The database's clock may be ahead of ours.
    span.end(max(time.time_ns(), began_ns))
