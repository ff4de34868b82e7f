"""Accepted and refused messages, and the tables of the migrations."""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from chassis.config.settings import load
from chassis.db import migrations, revisions
from chassis.db.database import Database
from chassis.errors import InvalidMessage
from chassis.events import Message
from paymentfc.config import Settings
from paymentfc.events import ORDER_CREATED, STOCK_REJECTED
from paymentfc.model.payment import Status
from paymentfc.repository import payments
from paymentfc.repository.tables import metadata
from testkit.databases import schema_drift

from .bench import Bench


def received(topic: str, value: object, offset: int = 0) -> Message:
    """Return a message as the Go producer sends it: without headers."""
    raw = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    return Message.received(topic, 0, offset, b"order-1", raw)


async def test_an_order_of_the_go_service_is_enough(bench: Bench) -> None:
    order_id = bench.new_id()
    value = {
        "order_id": order_id,
        "user_id": 3,
        "total_amount": 150000.0,
        "payment_method": "BANK_TRANSFER",
        "shipping_address": "Jl. Sudirman 1",
    }
    await bench.handlers[ORDER_CREATED](received(ORDER_CREATED, value, order_id))
    await bench.invoice()
    payment = await bench.payment(order_id)
    assert (payment.status, payment.amount) == (Status.PENDING, Decimal(150000))
    assert payment.invoice_url


async def test_lines_are_read_with_either_name_of_the_quantity_and_shown_on_the_invoice(bench: Bench) -> None:
    order_id = bench.new_id()
    lines = [
        {"product_id": 1, "name": "Kopi", "qty": 2, "price": 50000},
        {"product_id": 2, "name": "Teh", "quantity": 1, "price": 50000},
    ]
    value = {"order_id": order_id, "user_id": 3, "total_amount": 150000, "currency": "IDR", "products": lines, "new": 1}
    await bench.handlers[ORDER_CREATED](received(ORDER_CREATED, value, order_id))
    await bench.invoice()
    assert [(line.name, line.quantity, line.price) for line in bench.xendit.drafts[0].lines] == [
        ("Kopi", 2, Decimal(50000)),
        ("Teh", 1, Decimal(50000)),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"total_amount": 0},
        {"total_amount": -1},
        {"total_amount": 0.5},
        {"total_amount": "150000"},
        {"total_amount": 1e300},
        {"total_amount": None},
        {"currency": "USD"},
        {"order_id": 0},
        {"order_id": 2**63},
        {"user_id": None},
        {"products": [{"product_id": 1, "quantity": 0}]},
    ],
)
async def test_an_order_that_can_never_be_invoiced_is_refused_at_once(bench: Bench, change: dict[str, Any]) -> None:
    order_id = bench.new_id()
    value = {"order_id": order_id, "user_id": 3, "total_amount": 150000, **change}
    with pytest.raises(InvalidMessage):
        await bench.handlers[ORDER_CREATED](received(ORDER_CREATED, value))
    assert await payments.by_order(bench.db, order_id) is None


@pytest.mark.parametrize("topic", [ORDER_CREATED, STOCK_REJECTED])
@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff", b"[]", b"{}"])
async def test_what_can_not_be_read_is_refused_at_once(bench: Bench, topic: str, value: bytes | None) -> None:
    with pytest.raises(InvalidMessage):
        await bench.handlers[topic](received(topic, value))


async def test_the_migrations_make_exactly_the_tables_that_the_code_declares_and_can_be_undone(
    make_database: Callable[[str], Awaitable[dict[str, Any]]],
) -> None:
    settings = load(Settings, **await make_database("paymentfc"))
    db = Database(settings)
    assert await schema_drift(settings, metadata) == []
    await revisions.check_current(db, "paymentfc")
    await migrations.run(settings, "paymentfc", "base")
    await migrations.run(settings, "paymentfc")
    await revisions.check_current(db, "paymentfc")
    await db.close()
