"""Each thing that can be wrong with the spans of an order is found, in whatever form they were read."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from tests.kit.spans import Span, read_json, read_protobuf
from tests.telemetry.edges import EDGES, RESOURCE, STORIES, found_edges, problems
from tests.telemetry.page import PAGE, written

TRACE, OTHER, CALLER = "a" * 32, "c" * 32, "b" * 16
ORDER = {"app.order.id": "7"}


def span(number: int, service: str, name: str, parent: str, **more: Any) -> Span:
    resource = dict.fromkeys(RESOURCE, "x") | {"service.name": service}
    return Span(service, name, TRACE, f"{number:016x}", parent, attributes=ORDER, resource=resource, **more)


CHECKOUT = span(1, "orderfc", "POST /v1/orders/checkout", CALLER)
SENT = span(2, "orderfc", "send order.created", CHECKOUT.span_id)
CONFIRM = replace(span(3, "paymentfc", "confirm callback", ""), trace_id=OTHER)
PAID = span(4, "orderfc", "process payment.success", CHECKOUT.span_id, links=((OTHER, CONFIRM.span_id),))
GOOD = [CHECKOUT, SENT, CONFIRM, PAID]


def test_spans_as_they_should_be_have_no_problem_and_their_edges() -> None:
    assert problems(GOOD, [CALLER], ["a password"]) == []
    assert set(found_edges(GOOD)) == {
        (CHECKOUT.node, SENT.node, "child"),
        (CHECKOUT.node, PAID.node, "child"),
        (CONFIRM.node, PAID.node, "link"),
    }


@pytest.mark.parametrize(
    ("at", "changed", "problem"),
    [
        (1, {"parent_id": "9" * 16}, "orderfc send order.created: its parent is no span"),
        (0, {"parent_id": "9" * 16}, "orderfc POST /v1/orders/checkout: its parent is no span"),
        (3, {"links": ((OTHER, "9" * 16),)}, "orderfc process payment.success: it links no span"),
        (1, {"resource": {"service.name": "orderfc"}}, "orderfc send order.created: without service.version"),
        (1, {"attributes": {}}, "orderfc send order.created: it is about an order and does not say which"),
        (
            1,
            {"attributes": {"app.order.id": 7}},
            "orderfc send order.created: it is about an order and does not say which",
        ),
        (1, {"began_ns": 2, "ended_ns": 1}, "orderfc send order.created: it ends before it begins"),
        (1, {"attributes": ORDER | {"a": "alice@example.com"}}, "orderfc send order.created: holds an e-mail address"),
        (1, {"texts": ("ValueError: alice@example.com",)}, "orderfc send order.created: holds an e-mail address"),
        (1, {"attributes": ORDER | {"a": "eyJhbGciOi.eyJ1c2V.x"}}, "orderfc send order.created: holds a token"),
        (
            1,
            {"attributes": ORDER | {"a": "a password"}},
            "orderfc send order.created: holds a secret or what a person has sent",
        ),
        (
            1,
            {"name": "send payment.success"},
            "not declared: orderfc POST /v1/orders/checkout -> orderfc send payment.success (child)",
        ),
        (
            3,
            {"name": "process stock.rejected"},
            "not declared: paymentfc confirm callback -> orderfc process stock.rejected (link)",
        ),
    ],
)
def test_what_is_wrong_is_found(at: int, changed: Mapping[str, Any], problem: str) -> None:
    spans = [replace(each, **changed) if place == at else each for place, each in enumerate(GOOD)]
    assert problem in problems(spans, [CALLER], ["a password"])


def test_a_link_that_is_dropped_is_an_edge_that_is_missing() -> None:
    edges = found_edges([CHECKOUT, SENT, CONFIRM, replace(PAID, links=())])
    assert (CONFIRM.node, PAID.node, "link") not in edges


def test_the_page_has_the_edges_of_the_table() -> None:
    text = PAGE.read_text()
    assert written(text) == text, "run python -m tests.telemetry.page"


def test_no_edge_is_declared_twice_and_each_story_has_some() -> None:
    assert len(EDGES) == len(set(EDGES))
    assert all(STORIES.values())


READ = Span(
    "userfc",
    "GET",
    TRACE,
    CALLER,
    "",
    ((OTHER, CALLER),),
    "SERVER",
    1,
    2,
    True,
    {"http.response.status_code": 200},
    {"service.name": "userfc"},
    ("why",),
)


def test_spans_are_read_from_protobuf() -> None:
    sent = OtlpSpan(
        name="GET",
        kind=OtlpSpan.SPAN_KIND_SERVER,
        trace_id=bytes.fromhex(TRACE),
        span_id=bytes.fromhex(CALLER),
        start_time_unix_nano=1,
        end_time_unix_nano=2,
        attributes=[KeyValue(key="http.response.status_code", value=AnyValue(int_value=200))],
        links=[OtlpSpan.Link(trace_id=bytes.fromhex(OTHER), span_id=bytes.fromhex(CALLER))],
        status=Status(code=Status.STATUS_CODE_ERROR, message="why"),
    )
    resource = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value="userfc"))])
    group = ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=[sent])])
    assert read_protobuf(ExportTraceServiceRequest(resource_spans=[group]).SerializeToString()) == [READ]


@pytest.mark.parametrize(
    ("ids", "kind", "code"),
    [
        ((TRACE, CALLER, OTHER), 2, 2),
        (
            [b64encode(bytes.fromhex(each)).decode() for each in (TRACE, CALLER, OTHER)],
            "SPAN_KIND_SERVER",
            "STATUS_CODE_ERROR",
        ),
    ],
)
def test_spans_are_read_from_json_with_ids_and_enumerations_in_both_forms(
    ids: tuple[str, str, str], kind: str | int, code: str | int
) -> None:
    trace_id, span_id, linked = ids
    given = {
        "traceId": trace_id,
        "spanId": span_id,
        "name": "GET",
        "kind": kind,
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
        "attributes": [{"key": "http.response.status_code", "value": {"intValue": "200"}}],
        "links": [{"traceId": linked, "spanId": span_id}],
        "status": {"code": code, "message": "why"},
    }
    about = {"attributes": [{"key": "service.name", "value": {"stringValue": "userfc"}}]}
    assert read_json({"resourceSpans": [{"resource": about, "scopeSpans": [{"spans": [given]}]}]}) == [READ]
