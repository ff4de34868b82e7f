"""One kill -9 at each of the three lines where a naive saga loses or doubles an event."""

import pytest

from fc.demo.shop import Customer, Shop
from tests.kit.back_office import BackOffice
from tests.kit.processes import killed_at

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("service", "line"),
    [
        pytest.param("orderfc", "relay.before_send", id="after the order's commit and before its publish"),
        pytest.param("orderfc", "relay.after_send", id="after the publish and before it is marked"),
        pytest.param("productfc", "consumer.after_handler", id="after the consumer's commit and before its offset"),
        pytest.param("paymentfc", "consumer.after_handler", id="after the payment's commit and before its offset"),
    ],
)
async def test_an_order_survives_kill_9(
    service: str, line: str, shop: Shop, alice: Customer, back_office: BackOffice
) -> None:
    product = await back_office.product(stock=5)
    async with killed_at(back_office.stack, service, line):
        order = await alice.checkout_until_answered(product, 2, key=f"{service}-{line}-{product['id']}")
    payment = await alice.invoice(order)
    await shop.pay(payment["invoice_id"])
    await alice.wait_status(order, "completed", 40)
    await back_office.wait_stock(product, 3)
    assert [step["status"] for step in (await alice.order(order))["history"]] == ["created", "completed"]
    assert await shop.invoices(order) == 1
