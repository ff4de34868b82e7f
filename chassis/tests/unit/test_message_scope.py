"""The scope of a consumed message, and the line that it leaves when it is applied, inside its scope and outside."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from chassis import telemetry
from chassis.events import Event, Message
from chassis.message_scope import _unrecorded_ids, log_applied, message_scope

from .test_telemetry import configured

TRACE_ID = "a" * 32
ID = "0190f9a0-0000-7000-8000-000000000001"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Record all spans."""
    exporter = InMemorySpanExporter()
    tracing = configured(1.0, SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "tracing", tracing)
    yield exporter
    tracing.provider.shutdown()


def message(offset: int = 7, trace_id: str = TRACE_ID) -> Message:
    headers = [("ce_id", ID.encode()), ("traceparent", f"00-{trace_id}-{'b' * 16}-01".encode())]
    return Message.received("stock.updated", 0, offset, b"order-1", b"{}", headers)


def line(logged: Message) -> dict[str, Any]:
    with capture_logs() as lines:
        log_applied("a.module", "stock update applied", logged, order_id=1, reason=None)
    [written] = lines
    return dict(written)


def test_a_scope_that_is_entered_again_is_the_same_scope_with_one_span(spans: InMemorySpanExporter) -> None:
    one = message()
    with message_scope(one) as outer:
        with message_scope(one) as inner:
            assert inner is outer
        assert get_contextvars() == {"topic": "stock.updated", "event_id": ID, "key": "order-1", "offset": 7}
    assert get_contextvars() == {}
    assert [span.name for span in spans.get_finished_spans()] == ["process stock.updated"]


def test_messages_that_are_equal_have_scopes_of_their_own(spans: InMemorySpanExporter) -> None:
    with message_scope(message()) as first:
        pass
    with message_scope(message()) as second:
        assert second is not first
    assert len(spans.get_finished_spans()) == 2


def test_an_event_made_in_the_scope_of_a_message_belongs_to_its_trace() -> None:
    with message_scope(message()):
        event = Event.of("stock.rejected", "order-1", "{}")
    assert event.headers["traceparent"].split("-")[1] == TRACE_ID


@pytest.mark.usefixtures("spans")
def test_the_line_of_a_message_has_the_same_fields_inside_its_scope_and_outside() -> None:
    one = message()
    outside = line(one)
    with message_scope(one):
        inside = line(one)
        own = f"{trace.get_current_span().get_span_context().span_id:016x}"
    assert inside.pop("span_id") == own
    assert len(outside.pop("span_id")) == 16
    assert inside == outside
    assert {
        name: outside[name] for name in ("topic", "event_id", "key", "offset", "order_id", "reason", "trace_id")
    } == {
        "topic": "stock.updated",
        "event_id": ID,
        "key": "order-1",
        "offset": 7,
        "order_id": 1,
        "reason": None,
        "trace_id": TRACE_ID,
    }


def test_the_line_of_a_message_without_a_trace_has_ids_of_a_new_one() -> None:
    ids = [line(message(trace_id="0" * 32))["trace_id"] for _ in range(2)]
    assert len(set(ids)) == 2
    assert all(int(each, 16) for each in ids)


_USUAL = st.builds(
    "{}-{}-{}-{}".format,
    st.sampled_from(["00", "00", "01", "ff", "0"]),
    st.from_regex("[0-9a-f]{32}", fullmatch=True) | st.sampled_from(["0" * 32, "A" * 32, "a" * 31, "\u0661" * 32]),
    st.from_regex("[0-9a-f]{16}", fullmatch=True) | st.sampled_from(["0" * 16, "B" * 16, "b" * 17]),
    st.sampled_from(["00", "01", "0", "01-x", "zz", "01\n", " 01 "]),
)


@examples(_USUAL | st.text(max_size=60), st.sampled_from(["", "a=b", "=", "x" * 600]))
def test_the_trace_of_headers_is_the_one_that_opentelemetry_finds(given: str, state: str) -> None:
    headers = {"traceparent": given, "tracestate": state}
    found = trace.get_current_span(telemetry.extract(headers)).get_span_context().trace_id
    own = _unrecorded_ids(headers)
    assert len(own["span_id"]) == 16
    assert len(own["trace_id"]) == 32
    assert not found or own["trace_id"] == f"{found:032x}"


def test_headers_without_a_trace_begin_a_new_one() -> None:
    assert _unrecorded_ids({})["trace_id"] != _unrecorded_ids({})["trace_id"]
