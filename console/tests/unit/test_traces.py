"""Traces: what the ring keeps, how a waterfall is drawn, and what its pages show."""

import re
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from console.client.jaeger import Jaeger, NoStore
from console.client.span_ring import OVERHEAD, NotSpans, SpanRing
from console.model.spans import KINDS, WIDTH, Span, waterfall

from .browser import Browser

TRACE, OTHER = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"
HOSTILE = "<script>alert(1)</script>\"'&"
BEGAN = 1_764_322_200_000_000_000


def text(name: str, value: str) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": value}}


def span(number: int = 1, trace: str = TRACE, parent: int = 0, **fields: Any) -> dict[str, Any]:
    """Make a span as OTLP writes it in JSON, with ids as hex digits."""
    begin = BEGAN + number * 1_000_000
    defaults = {
        "traceId": trace,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": f"step {number}",
        "kind": 2,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(begin + 5_000_000),
        "attributes": [text("app.order.id", "42")],
    }
    return defaults | fields


def document(*spans: dict[str, Any], service: str = "orderfc") -> dict[str, Any]:
    resource = {"attributes": [text("service.name", service)]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}


def message(*spans: dict[str, Any], service: str = "orderfc") -> bytes:
    """Make the body of an export; protobuf's JSON has ids in base64, which is made of the same bytes."""
    request = ParseDict(document(service=service), ExportTraceServiceRequest())
    for each in spans:
        ids = {name: bytes.fromhex(each[name]) for name in ("traceId", "spanId", "parentSpanId")}
        links = each.get("links", [])
        rest = {name: value for name, value in each.items() if name not in ids and name != "links"}
        made = ParseDict(rest, request.resource_spans[0].scope_spans[0].spans.add())
        made.trace_id, made.span_id, made.parent_span_id = ids.values()
        for link in links:
            made.links.add(trace_id=bytes.fromhex(link["traceId"]), span_id=bytes.fromhex(link["spanId"]))
    return request.SerializeToString()


async def post(browser: Browser, body: bytes, kind: str = "application/x-protobuf") -> httpx2.Response:
    return await browser.http.post("/v1/traces", content=body, headers={"content-type": kind})


async def test_spans_that_are_sent_are_shown_as_a_waterfall_with_links_both_ways(browser: Browser) -> None:
    linked = {"traceId": OTHER, "spanId": "00000000000000aa"}
    failed = span(3, parent=1, links=[linked], status={"code": 2}, attributes=[text("error.type", "Refused")])
    assert (await post(browser, message(span(1), failed))).status_code == 200
    assert (await post(browser, message(span(2, parent=1), span(9, OTHER), service="paymentfc"))).status_code == 200
    assert (await browser.get(f"/traces/{TRACE}")).headers["location"] == f"/login?next=/traces/{TRACE}"
    browser.sign_in()
    page = (await browser.get(f"/traces/{TRACE}")).text
    rows = re.findall(r'<tr id="span-0*(\d+)">', page)
    assert rows == ["1", "2", "3"]
    assert f'href="/traces/{OTHER}"' in page
    assert 'href="/orders/42"' in page
    assert 'class="badge bad">Refused' in page
    assert "Kept since" in page
    other = (await browser.get(f"/traces/{OTHER}")).text
    assert f'<dt>Linked from</dt><dd><a class="id" href="/traces/{TRACE}">' in other
    assert not re.search(r"<script>|style=|\son\w+=", page)
    listed = (await browser.get("/traces")).text
    assert "4 spans are kept since" in listed
    assert listed.index(OTHER) < listed.index(TRACE)


async def test_a_span_without_a_name_or_of_an_unknown_kind_is_shown(browser: Browser) -> None:
    await post(browser, message(span(1, name="", kind=17), span(2, parent=1, kind=-1)))
    browser.sign_in()
    assert TRACE in (await browser.get("/traces")).text
    page = await browser.get(f"/traces/{TRACE}")
    assert page.status_code == 200
    assert "<summary>(no name)</summary>" in page.text
    assert page.text.count("<dd>unspecified</dd>") == 2


async def test_the_trace_box_leads_to_the_trace(browser: Browser) -> None:
    browser.sign_in()
    assert (await browser.get(f"/traces?trace=%20{TRACE.upper()}")).headers["location"] == f"/traces/{TRACE}"
    assert (await browser.get("/traces?trace=42")).status_code == 400
    assert (await browser.get(f"/traces/{TRACE}")).status_code == 404
    assert (await browser.get("/traces/42")).status_code == 400


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"<html>"])
async def test_what_is_no_message_of_spans_is_refused(browser: Browser, body: bytes) -> None:
    assert (await post(browser, body)).status_code == 400
    assert not browser.app.state.traces


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-www-form-urlencoded"])
async def test_spans_come_in_no_form_that_a_page_of_another_site_could_send(browser: Browser, kind: str) -> None:
    assert (await post(browser, message(span()), kind)).status_code == 415
    assert not browser.app.state.traces


async def test_a_message_that_is_too_large_is_refused(browser: Browser) -> None:
    assert (await post(browser, b"\x0a" * (1024 * 1024 + 1))).status_code == 413


@pytest.mark.parametrize("store", [NoStore(), Jaeger(httpx2.AsyncClient(), "http://jaeger")])
async def test_with_a_store_or_in_production_no_spans_are_taken(browser: Browser, store: Jaeger) -> None:
    browser.app.state.traces = store
    assert (await post(browser, message(span()))).status_code == 404


async def test_what_came_from_outside_is_text(browser: Browser) -> None:
    hostile = span(name=HOSTILE, attributes=[text(HOSTILE, HOSTILE), text("app.order.id", HOSTILE)])
    hostile |= {"events": [{"name": HOSTILE}], "status": {"message": HOSTILE, "code": 2}}
    await post(browser, message(hostile, service=HOSTILE))
    browser.sign_in()
    for path in ("/traces", f"/traces/{TRACE}"):
        answer = await browser.get(path)
        assert answer.status_code == 200
        assert not re.search(r"<script>|style=|\son\w+=", answer.text)
        assert "&lt;script&gt;" in answer.text


async def test_the_ring_forgets_the_oldest_beyond_its_bounds() -> None:
    ring = SpanRing(max_spans=3)
    for number in range(1, 6):
        ring.add(message(span(number, trace=f"{number % 2:032x}")))
    assert len(ring) == 3
    assert [each.span_id[-1] for each in await ring.trace(f"{1:032x}")] == ["3", "5"]
    assert [each.span_id[-1] for each in await ring.trace(f"{0:032x}")] == ["4"]
    size = OVERHEAD + len(message(span(1)))
    small = SpanRing(max_bytes=2 * size)
    for number in range(1, 6):
        small.add(message(span(number, trace=f"{number:032x}")))
    assert 1 <= len(small) <= 2
    assert [spans[0].trace_id for spans in await small.newest(9)][0] == f"{5:032x}"
    assert not await small.trace(f"{1:032x}")
    assert not await small.linking(TRACE)


async def test_ids_of_a_wrong_length_are_left_out() -> None:
    ring = SpanRing()
    request = ExportTraceServiceRequest.FromString(message(span()))
    request.resource_spans[0].scope_spans[0].spans[0].span_id = b"1"
    ring.add(request.SerializeToString())
    assert not ring
    with pytest.raises(NotSpans):
        ring.add(b"\xff")


# As Jaeger 2 answers `/api/v3/traces/{id}`: ids as hex digits, kinds and status as numbers, the whole in `result`.
ANSWER = {"result": document(span(1), span(2, parent=1, status={"code": 2}))}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx2.Response(200, json=ANSWER), "step 2"),
        (
            httpx2.Response(404, json={"error": {"httpCode": 404, "message": "trace not found"}}),
            "No span of this trace",
        ),
        (httpx2.Response(500, text="no"), "did not answer: it answers 500"),
        (httpx2.Response(200, text="<html>"), "did not answer: JSONDecodeError"),
        (httpx2.Response(200, json=[]), "did not answer: AttributeError"),
    ],
)
async def test_a_jaeger_is_asked_for_single_traces(browser: Browser, answer: httpx2.Response, expected: str) -> None:
    asked = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return answer

    browser.sign_in()
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handle)) as http:
        browser.app.state.traces = Jaeger(http, "http://jaeger/")
        page = await browser.get(f"/traces/{TRACE}")
    assert asked == [f"http://jaeger/api/v3/traces/{TRACE}"]
    assert expected in page.text
    assert page.status_code == (404 if answer.status_code == 404 else 200)


def simple(number: int, parent: int, begin: int, took: int) -> Span:
    ids = f"{number:016x}", f"{parent:016x}" if parent else ""
    return Span("orderfc", f"step {number}", TRACE, *ids, began_ns=BEGAN + begin, ended_ns=BEGAN + begin + took)


SPANS = st.builds(simple, st.integers(1, 12), st.integers(0, 12), st.integers(0, 10**9), st.integers(-5, 10**9))


@given(st.lists(SPANS, min_size=1, unique_by=lambda span: span.span_id), st.randoms())
def test_each_span_is_one_row_inside_the_picture_and_behind_its_parent(spans: list[Span], random: Any) -> None:
    shown = waterfall(spans)
    random.shuffle(spans)
    assert shown == waterfall(spans)
    assert shown is not None
    assert sorted(bar.span.span_id for bar in shown.bars) == sorted(each.span_id for each in spans)
    for bar in shown.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH + 0.2
    places = {bar.span.span_id: (place, bar.depth) for place, bar in enumerate(shown.bars)}
    for bar in shown.bars:
        if bar.depth:
            place, depth = places[bar.span.parent_id]
            assert (place < places[bar.span.span_id][0], depth + 1) == (True, bar.depth)


def test_of_no_spans_there_is_no_waterfall() -> None:
    assert waterfall([]) is None
    shown = waterfall([simple(1, 0, 0, 5)])
    assert shown is not None
    assert shown.began_at == datetime.fromtimestamp(BEGAN / 1e9, UTC)
    assert KINDS[2] == "SERVER"
