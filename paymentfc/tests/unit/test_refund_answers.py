"""Xendit's answers about refunds: one about another refund, or other money, is none."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from paymentfc.client.refunds import RefundGateway
from paymentfc.errors import GatewayUnavailable
from paymentfc.model.refund import Cause, Refund, RefundStatus

from .gateway import Client, answering

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = Refund(
    id=57,
    order_id=7,
    payment_id=7,
    invoice_id="i-1",
    amount=Decimal(150_000),
    currency="IDR",
    cause=Cause.ORDER_CANCELLED,
    source="taken",
    status=RefundStatus.REQUESTED,
    failure_code=None,
    attempts=1,
    note=None,
    gateway_id=None,
    due_at=NOW,
    create_time=NOW,
    update_time=NOW,
)
SHOWN = {
    "id": "rfd-1",
    "invoice_id": "i-1",
    "reference_id": "refund-57",
    "status": "SUCCEEDED",
    "amount": 150_000,
    "currency": "IDR",
}


@pytest.mark.parametrize("change", [{}, {"invoice_id": None}, {"reference_id": None}, {"currency": None}])
async def test_a_refund_that_may_be_the_one_asked_for_is_it(client: Client, change: dict[str, Any]) -> None:
    gateway = RefundGateway(client(answering(200, json=SHOWN | change)))
    assert (await gateway.create(ASKED)).status == "SUCCEEDED"
    assert (await gateway.get(replace(ASKED, gateway_id="rfd-1"))).status == "SUCCEEDED"


@pytest.mark.parametrize(
    "change", [{"invoice_id": "i-2"}, {"reference_id": "refund-58"}, {"amount": 149_999}, {"currency": "USD"}]
)
async def test_a_refund_of_another_invoice_name_or_amount_is_not_the_one_asked_for(
    client: Client, change: dict[str, Any]
) -> None:
    """One of another invoice: the number has been used before, in a database that was restored since."""
    gateway = RefundGateway(client(answering(200, json=SHOWN | change)))
    for ask in (gateway.create(ASKED), gateway.get(replace(ASKED, gateway_id="rfd-1"))):
        with pytest.raises(GatewayUnavailable):
            await ask


async def test_a_listed_refund_of_another_invoice_is_not_the_one_asked_for(client: Client) -> None:
    gateway = RefundGateway(client(answering(200, json={"data": [SHOWN | {"invoice_id": "i-2"}]})))
    with pytest.raises(GatewayUnavailable):
        await gateway.find(ASKED)
