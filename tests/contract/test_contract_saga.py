"""The contract of the platform as a whole, over the running stack: events, dead letters and probes."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from fc.demo.shop import Customer, Shop, poll
from fc.stack.layout import SERVICES
from tests.contract.api import ADDRESS, Api
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus, PublishedEvent

CHECKS = {
    "userfc": {"database", "redis"},
    "productfc": {"database", "redis", "kafka"},
    "orderfc": {"database", "redis", "kafka"},
    "paymentfc": {"database", "redis", "kafka"},
}


def _value(event: PublishedEvent) -> Any:
    return orjson.loads(event.value or b"")


@pytest.mark.parametrize("service", SERVICES)
async def test_the_probes_have_the_shapes_of_the_contract(api: Api, service: str) -> None:
    assert (await api.ask(service, "GET", "/ping")).json() == {"message": "pong"}
    assert (await api.ask(service, "GET", "/health")).json() == {"status": "healthy", "service": service}
    status, shown = await api.readiness(service)
    assert (status, shown["status"], shown["migrations"]) == (200, "ready", "ok")
    assert set(shown) == {"status", "checks", "migrations"}
    assert set(shown["checks"]) >= CHECKS[service]
    assert set(shown["checks"].values()) == {"ok"}


async def test_a_paid_order_has_exactly_the_events_of_the_contract(
    shop: Shop, alice: Customer, back_office: BackOffice, bus: Bus, api: Api
) -> None:
    product = await back_office.product(stock=3)
    user = (await api.ask("userfc", "GET", "/v1/user-info", alice)).json()["id"]
    order = await alice.checkout(product, 2)
    await shop.pay((await alice.invoice(order))["invoice_id"])
    await alice.wait_status(order, "completed")
    events = {event.topic: _value(event) for event in await bus.events_of(order)}
    assert set(events) == {"order.created", "stock.updated", "payment.success"}
    created = events["order.created"]
    assert created["currency"] == "IDR"
    assert {name: created[name] for name in ("order_id", "user_id", "total_amount", *ADDRESS)} == {
        "order_id": order,
        "user_id": user,
        "total_amount": 50_000,
        **ADDRESS,
    }
    taken = events["stock.updated"]
    assert (taken["order_id"], taken["products"]) == (order, [{"product_id": product["id"], "quantity": 2}])
    assert datetime.fromisoformat(taken["event_time"]).utcoffset() == timedelta(0)
    assert events["payment.success"] == {"order_id": order, "status": "PAID", "topic": "payment.success"}


async def test_a_rollback_looks_like_its_deduction_and_every_event_has_the_headers_of_the_contract(
    shop: Shop, alice: Customer, back_office: BackOffice, bus: Bus
) -> None:
    order = await alice.checkout(await back_office.product(stock=3), 2)
    await shop.expire((await alice.invoice(order))["invoice_id"])
    await alice.wait_status(order, "cancelled")
    await bus.consumed()
    events = {event.topic: event for event in await bus.events_of(order)}
    given, taken = _value(events["stock.rollback"]), _value(events["stock.updated"])
    assert set(given) == {"order_id", "products", "event_time"}
    assert (given["order_id"], given["products"]) == (taken["order_id"], taken["products"])
    sources = {
        "order.created": "orderfc",
        "stock.updated": "orderfc",
        "stock.rollback": "orderfc",
        "payment.failed": "paymentfc",
    }
    assert set(events) == set(sources)
    for topic, source in sources.items():
        headers = {name: value.decode() for name, value in events[topic].headers}
        assert events[topic].key == f"order-{order}".encode()
        assert headers["ce_type"] == topic
        assert (headers["ce_source"], headers["ce_specversion"]) == (source, "1.0")
        assert UUID(headers["ce_id"]).version == 7
        assert datetime.fromisoformat(headers["ce_time"]).utcoffset() == timedelta(0)
        assert headers["content-type"] == "application/json"
        assert len(headers["traceparent"].split("-")) == 4


async def test_too_little_stock_when_the_event_is_processed_takes_nothing_and_is_told_once(
    back_office: BackOffice, bus: Bus
) -> None:
    enough, short = await back_office.product(stock=9), await back_office.product(stock=1)
    order, later = back_office.foreign_order_id(), back_office.foreign_order_id()
    lines = [{"product_id": product["id"], "quantity": 2} for product in (enough, short)]

    async def rejections(number: int) -> list[Any]:
        values = [_value(event) for event in await bus.read("stock.rejected")]
        return [value for value in values if value["order_id"] == number]

    # One key keeps them in this order: with the later event published, all events of the first are.
    for number in (order, order, later):
        await bus.raw("stock.updated", f"order-{order}".encode(), orjson.dumps({"order_id": number, "products": lines}))
    await poll(lambda: rejections(later), "stock.rejected")
    [rejected] = await rejections(order)
    assert set(rejected) == {"order_id", "products", "reason", "event_time"}
    assert str(short["id"]) in rejected["reason"]
    assert (await back_office.stock(enough), await back_office.stock(short)) == (9, 1)


async def test_a_message_of_a_go_producer_takes_and_gives_back(back_office: BackOffice, bus: Bus) -> None:
    product = await back_office.product(stock=6)
    order = back_office.foreign_order_id()
    await bus.publish("stock.updated", order, [(product["id"], 2)])
    await back_office.wait_stock(product, 4)
    await bus.publish("stock.rollback", order, [(product["id"], 2)])
    await back_office.wait_stock(product, 6)


async def test_what_an_administrator_sets_is_the_free_stock_and_a_cancelled_order_comes_on_top(
    api: Api, shop: Shop, alice: Customer, back_office: BackOffice
) -> None:
    product = await back_office.product(stock=5)
    order = await alice.checkout(product, 3)
    payment = await alice.invoice(order)
    await back_office.wait_stock(product, 2)
    await api.ask("productfc", "PUT", f"/v1/products/{product['id']}", api.admin, json={"stock": 10})
    await shop.expire(payment["invoice_id"])
    await back_office.wait_stock(product, 13)


async def test_a_dead_letter_has_the_original_and_says_why_and_where_it_was(bus: Bus) -> None:
    value = b'{"order_id": "none", "products": []}'
    await bus.raw("stock.rollback", b"order-none", value)
    headers = await bus.dead_letter("stock.rollback", value)
    [letter] = [letter for letter in await bus.read("stock.rollback.dlq") if letter.value == value]
    assert letter.key == b"order-none"
    assert headers["x-reason"] == "invalid_payload"
    assert headers["x-source-topic"] == "stock.rollback"
    assert "productfc" in headers["x-handler"]
    assert set(headers) >= {
        "x-error",
        "x-source-partition",
        "x-source-offset",
        "x-attempts",
        "x-failed-at",
    }
    sources = [event for event in await bus.read("stock.rollback") if event.value == value]
    assert len(sources) == 1
    assert datetime.now(UTC) - datetime.fromisoformat(headers["x-failed-at"]) < timedelta(seconds=30)


async def test_a_poison_message_delays_what_is_behind_it_by_less_than_ten_seconds(
    back_office: BackOffice, bus: Bus
) -> None:
    product, order = await back_office.product(stock=2), back_office.foreign_order_id()
    for poison in (b"\xff", b"null", b'{"order_id": 0}', b""):
        await bus.raw("stock.updated", f"order-{order}".encode(), poison)
    await bus.publish("stock.updated", order, [(product["id"], 1)])

    async def taken() -> bool:
        return await back_office.stock(product) == 1

    await poll(taken, "the order behind the poison", 10)


async def test_an_event_for_an_unknown_order_is_tried_for_30_s_before_its_dead_letter(
    back_office: BackOffice, bus: Bus
) -> None:
    order = back_office.foreign_order_id()
    value = orjson.dumps({"order_id": order, "status": "PAID", "topic": "payment.success"})
    sent = datetime.now(UTC)
    await bus.raw("payment.success", f"order-{order}".encode(), value)

    async def letters() -> list[PublishedEvent]:
        return [letter for letter in await bus.read("payment.success.dlq") if letter.value == value]

    [letter] = await poll(letters, "the dead letter", 60)
    headers = {name: text.decode() for name, text in letter.headers}
    assert headers["x-reason"] == "not_yet"
    assert int(headers["x-attempts"]) > 1
    assert datetime.fromisoformat(headers["x-failed-at"]) - sent >= timedelta(seconds=30)
