"""Topics, consumer groups, traces, log lines and the runbook on a running stack, in a real browser."""

import re
from collections.abc import AsyncIterator

import httpx2
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from playwright.async_api import Locator, expect

from fc.demo.shop import Customer, Shop, poll
from fc.stack.layout import CONSOLE
from fc.stack.local import Stack
from tests.console.kit.operator import Operator
from tests.kit.back_office import BackOffice
from tests.kit.otlp_sink import OtlpSink

pytestmark = pytest.mark.e2e

HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
TOPIC = "console.hostile"


@pytest.fixture(scope="module")
async def paid(shop: Shop, back_office: BackOffice) -> tuple[Customer, int]:
    """A customer and their order, which is completed."""
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(50), 1)
    await shop.pay((await payer.invoice(order))["invoice_id"])
    await payer.wait_status(order, "completed")
    return payer, order


@pytest.fixture
async def calm(operator: Operator) -> AsyncIterator[Operator]:
    """A page on which no script of others has run, and whose browser has refused nothing."""
    lines: list[str] = []
    operator.page.on("console", lambda line: lines.append(line.text) if line.type in ("error", "warning") else None)
    yield operator
    assert [line for line in lines if "404 (Not Found)" not in line] == []
    assert await operator.page.title() != "taken"


async def test_the_records_of_an_order_are_found_and_each_leads_to_its_headers_and_its_trace(
    calm: Operator, paid: tuple[Customer, int]
) -> None:
    _, order = paid
    await calm.open(f"/events?order={order}")
    rows = calm.page.locator("#records tbody tr")
    await expect(rows).to_have_count(3)
    for topic in ("order.created", "stock.updated", "payment.success"):
        await expect(rows.filter(has_text=topic)).to_have_count(1)
    await expect(calm.page.locator("#records .badge.good")).to_have_count(3)
    await rows.filter(has_text="order.created").get_by_role("link", name="order.created").click()
    await calm.until("Value")
    await calm.until("traceparent")
    await calm.until("as its schema")
    await expect(calm.page.get_by_role("link", name=str(order), exact=True)).to_be_visible()


async def test_the_newest_records_of_a_topic_appear_by_themselves_until_they_are_paused(
    calm: Operator, paid: tuple[Customer, int], back_office: BackOffice
) -> None:
    payer, _ = paid
    await calm.open("/events?topic=order.created")
    order = await payer.checkout(await back_office.product(5), 1)
    await expect(calm.page.locator("#records").get_by_role("link", name=str(order), exact=True)).to_be_visible()
    await calm.page.get_by_role("link", name="Pause").click()
    await expect(calm.page.get_by_role("link", name="Go on")).to_be_visible()
    await expect(calm.page.locator("#live")).to_have_count(0)


async def test_a_topic_is_read_from_a_time_and_from_a_place(calm: Operator, paid: tuple[Customer, int]) -> None:
    await calm.open("/events?topic=order.created&since=2020-01-01T00:00")
    first = calm.page.locator("#records tbody tr").first
    place = await first.get_by_role("link").first.inner_text()
    topic, _, rest = place.partition(" ")
    partition, _, offset = rest.partition(":")
    await calm.open(f"/events?topic={topic}&partition={partition}&offset={offset}")
    await expect(calm.page.locator("#records tbody tr").first).to_contain_text(place)
    await calm.open("/events?topic=order.created&since=2099-01-01T00:00")
    await calm.until("No records here")
    await calm.open(f"/events/order.created/{partition}/999999999", 404)


async def test_consumer_groups_show_members_and_no_lag_once_all_is_applied(
    calm: Operator, paid: tuple[Customer, int]
) -> None:
    async def caught_up() -> bool:
        await calm.open("/events/groups")
        text = await calm.page.locator("main").inner_text()
        return text.count("lag 0") == 3

    await poll(caught_up, "no consumer group lags", 20, 0.2)
    for group in ("orderfc", "paymentfc", "productfc"):
        await expect(calm.page.get_by_role("heading", name=group)).to_be_visible()
        await calm.until(re.compile(rf"1 member: {group} "))


async def test_hostile_records_are_text(calm: Operator, stack: Stack) -> None:
    broker = stack.programs.environment("orderfc")["KAFKA_BROKER"]
    admin, producer = AIOKafkaAdminClient(bootstrap_servers=broker), AIOKafkaProducer(bootstrap_servers=broker)
    await admin.start()
    await producer.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, 1, 1)])
        text = HOSTILE.encode()
        sent = await producer.send_and_wait(TOPIC, text, key=text, headers=[(HOSTILE, text), ("traceparent", text)])
        await producer.send_and_wait(TOPIC, None, key=b"\xff\xfe", headers=[("empty", b"")])
        await calm.open(f"/events?topic={TOPIC}")
        await calm.until("onerror")
        await calm.until("no value")
        await calm.open(f"/events/{TOPIC}/0/{sent.offset}")
        await calm.until(HOSTILE)
    finally:
        await producer.stop()
        await admin.delete_topics([TOPIC])
        await admin.close()


def links_of(operator: Operator, label: str) -> Locator:
    """Return the links to other traces in the head of a trace's page."""
    head = operator.page.get_by_role("region", name="About the trace")
    return head.locator("div", has=operator.page.locator("dt", has_text=re.compile(f"^{label}$"))).get_by_role("link")


async def test_the_trace_of_an_order_is_a_waterfall_once_its_spans_have_come(
    calm: Operator, paid: tuple[Customer, int], stack: Stack, sink: OtlpSink
) -> None:
    """The services send their spans to the tests' sink; the same bytes are sent on to the console."""
    _, order = paid

    async def complete() -> bool:
        names = {span.name for span in sink.spans if span.attributes.get("app.order.id") == str(order)}
        return {"POST /v1/orders/checkout", "process payment.success"} <= names

    await poll(complete, "the spans of the order", 30, 0.2)
    url = f"{stack.layout.url(CONSOLE)}/v1/traces"
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
        for body in list(sink.bodies):
            answer = await client.post(url, content=body, headers={"content-type": "application/x-protobuf"})
            assert answer.status_code == 200
    await calm.open(f"/orders/{order}/trace")
    await calm.until("POST /v1/orders/checkout")
    await calm.until("create invoice")
    await expect(calm.page.get_by_role("link", name=str(order), exact=True).first).to_be_visible()
    await links_of(calm, "Links").first.click()
    await calm.until("POST /v1/payments/xendit/webhook")
    await links_of(calm, "Linked from").first.click()
    await calm.until("POST /v1/orders/checkout")
    await calm.open("/traces")
    await calm.until("spans are kept since")


async def test_the_log_lines_of_an_order_lead_to_those_of_its_trace_without_anybodys_address(
    calm: Operator, paid: tuple[Customer, int]
) -> None:
    _, order = paid
    await calm.open(f"/orders/{order}/logs")
    for event, service in (
        ("order placed", "orderfc"),
        ("payment registered", "paymentfc"),
        ("callback sent", "xendit"),
    ):
        row = calm.page.get_by_role("row").filter(has_text=event).filter(has_text=service).first
        await expect(row).to_be_visible()
    placed = calm.page.get_by_role("row").filter(has_text="order placed").first
    await placed.locator("summary").click()
    trace = placed.locator("dt", has_text="trace_id").locator("xpath=../dd").get_by_role("link")
    identity = await trace.inner_text()
    await calm.open(f"/traces/{identity}/logs")
    await calm.until("request")
    await calm.until("order placed")
    assert "@example.com" not in await calm.page.locator("main").inner_text()


async def test_the_runbook_opens_at_the_section_that_an_alert_names(calm: Operator) -> None:
    await calm.open("/runbook#consumer-lag")
    await expect(calm.page.get_by_role("heading", name="Consumer lag")).to_be_in_viewport()
