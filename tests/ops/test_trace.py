"""`fc trace` on the running stack: from an order to its trace, its events and its log lines."""

import asyncio
import re
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from fc.demo.shop import Customer, Shop, poll
from fc.ops.kafka_records import KafkaRecords
from fc.ops.trace import Story, gather
from fc.platform.sources import Sources
from fc.stack.local import Stack
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus
from tests.ops.conftest import Run, lines
from tests.ops.test_dead_letters import dead


async def paid_order(stack: Stack, client: httpx2.AsyncClient, shop: Shop, product: int, trace_id: str) -> int:
    """Place an order in a trace, pay it, and return its number when it is completed."""
    payer = await shop.newcomer()
    answer = await client.post(
        f"{stack.layout.url('orderfc')}/v1/orders/checkout",
        headers=payer.headers | {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"},
        json={
            "items": [{"product_id": product, "quantity": 1}],
            "payment_method": "BANK_TRANSFER",
            "shipping_address": "Jalan Merdeka 1, Jakarta",
        },
    )
    order: int = answer.raise_for_status().json()["order_id"]
    await shop.pay((await payer.invoice(order))["invoice_id"])
    await payer.wait_status(order, "completed")
    return order


async def reported(fc: Run, order: int, *events: str) -> dict[str, Any]:
    """Return what `fc trace` prints once these lines are in the logs, which services write a tenth of a second late."""

    async def found() -> dict[str, Any] | None:
        [report] = lines(await fc("trace", str(order), "--json"))
        return report if set(events) <= {line["event"] for line in report["lines"]} else None

    report: dict[str, Any] = await poll(found, f"the lines {events} of order {order}", 20)
    return report


async def test_a_completed_order_leads_to_its_trace_its_events_and_its_lines(
    stack: Stack, client: httpx2.AsyncClient, shop: Shop, back_office: BackOffice, fc: Run
) -> None:
    trace_id = secrets.token_hex(16)
    order = await paid_order(stack, client, shop, (await back_office.product(2))["id"], trace_id)
    other = await paid_order(stack, client, shop, (await back_office.product(2))["id"], secrets.token_hex(16))

    report = await reported(fc, order, "payment result applied", "callback sent", "stock update applied")

    assert (report["order_id"], report["status"], report["payment"]) == (order, "completed", "PAID")
    assert report["trace_id"] == trace_id
    events = {event["topic"]: event for event in report["events"]}
    assert set(events) == {"order.created", "stock.updated", "payment.success"}
    for topic, consumer in (
        ("order.created", "paymentfc"),
        ("stock.updated", "productfc"),
        ("payment.success", "orderfc"),
    ):
        event = events[topic]
        assert re.fullmatch(r"\d+:\d+", *event["places"])
        assert event["committed_at"] <= event["applied"][consumer]
        assert (event["state"], event["awaited"], event["trace_id"]) == ("published", [], trace_id)
    # The callback of Xendit has a trace of its own.
    assert report["linked_trace_ids"] == [events["payment.success"]["linked_trace_id"]]
    seen = {(line["service"], line["event"]) for line in report["lines"]}
    assert seen >= {
        ("orderfc", "order placed"),
        ("orderfc", "request"),
        ("productfc", "request"),
        ("productfc", "stock update applied"),
        ("paymentfc", "payment registered"),
        ("paymentfc", "callback received"),
        ("xendit", "callback sent"),
    }
    assert [line["timestamp"] for line in report["lines"]] == sorted(line["timestamp"] for line in report["lines"])
    assert other not in [line.get("order_id") for line in report["lines"]]
    assert (report["lines_from"], report["notes"]) == (["files"], [])


async def test_the_tables_name_what_the_order_waits_for(
    stack: Stack, back_office: BackOffice, alice: Customer, fc: Run
) -> None:
    product = await back_office.product(5)
    await asyncio.to_thread(stack.supervisor.stop, "paymentfc")
    try:
        order = await alice.checkout(product, 1)

        async def shown() -> str | None:
            result = await fc("trace", str(order))
            assert result.exit_code == 0, result.output
            return result.stdout if "paymentfc not yet" in result.stdout and "order placed" in result.stdout else None

        text: str = await poll(shown, "the order waits for paymentfc", 20)
    finally:
        await asyncio.to_thread(stack.supervisor.start, "paymentfc")
        await stack.ready("paymentfc")
    assert f"order\t{order}, created, 25000 IDR, placed " in text
    assert re.search(r"^order\.created\t\d+:\d+\t[\d:.]+\t\+[\d,]+ ms\t[0-9a-f-]{36}\tpaymentfc not yet$", text, re.M)
    assert re.search(r"\torderfc\tinfo\trequest\tPOST /v1/orders/checkout 201, [\d.]+ ms$", text, re.M)


async def test_an_event_that_became_a_dead_letter_shows_it(
    kafka: KafkaRecords, bus: Bus, back_office: BackOffice, alice: Customer, fc: Run
) -> None:
    order = await alice.checkout(await back_office.product(5), 1)
    await bus.raw("payment.failed", f"order-{order}".encode(), b'{"order_id":')
    letter = (await dead(kafka, "payment.failed", f"order-{order}")).letter
    [report] = lines(await fc("trace", str(order), "--json"))
    [event] = [each for each in report["events"] if each["topic"] == "payment.failed"]
    assert (event["event_id"], event["letters"]) == (letter.event_id, [f"{letter.place} invalid_json"])


async def test_without_kafka_the_outbox_still_tells_the_events(
    sources: Sources, stack: Stack, monkeypatch: pytest.MonkeyPatch, back_office: BackOffice, alice: Customer
) -> None:
    monkeypatch.setenv("FC_NATIVE", "1")
    monkeypatch.setenv("FC_HOME", str(stack.home))
    order = await alice.checkout(await back_office.product(5), 1)
    await alice.invoice(order)
    story: Story = await gather(replace(sources, kafka="localhost:1"), order, 5)
    assert {event.topic: event.places for event in story.events.events} == {"order.created": [], "stock.updated": []}
    [note] = story.events.notes
    assert note.startswith("without Kafka: Kafka at localhost:1: ")


async def test_an_unknown_order_and_a_wrong_number_are_refused(fc: Run) -> None:
    assert "orderfc has no order 9007199254740993" in str((await fc("trace", "9007199254740993")).exception)
    assert (await fc("trace", "0")).exit_code == 2


async def test_the_search_for_a_key_says_when_it_has_not_looked_at_everything(
    kafka: KafkaRecords, bus: Bus, back_office: BackOffice
) -> None:
    key = f"order-{back_office.foreign_order_id()}".encode()
    since = datetime.now(UTC) - timedelta(seconds=1)
    for _ in range(3):
        await bus.raw("payment.failed", key, b"{")
    assert len((await kafka.of_key("payment.failed", key, since))[0]) == 3
    assert (await kafka.of_key("payment.failed", key, since, limit=1))[1] is False
    assert await kafka.of_key("payment.failed", key, datetime.now(UTC) + timedelta(hours=1)) == ([], True)
    assert await kafka.of_key("no.such.topic", key, since) == ([], True)
