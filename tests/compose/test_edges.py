"""The real Jaeger has the whole trace of an order, over HTTP, gRPC and Kafka, through all four services."""

import secrets

import httpx2

from fc.demo.shop import Customer, Shop, poll
from tests.compose.kit.jaeger import Span, trace
from tests.compose.kit.platform import Platform
from tests.compose.kit.record import Record

# What an order takes part in before and after any change of its spans.
EXPECTED = {
    ("orderfc", "POST /v1/orders/checkout"),
    ("productfc", "GET /v1/products"),
    ("productfc", "process stock.updated"),
    ("paymentfc", "process order.created"),
    ("paymentfc", "create invoice"),
    ("userfc", "user.UserService/GetUserInfoByUserId"),
    ("orderfc", "process payment.success"),
}


async def test_jaeger_has_an_order_as_one_trace_from_checkout_to_completion(
    platform: Platform, shop: Shop, buyer: Customer, record: Record
) -> None:
    product = await shop.product("Ceramic Mug")
    trace_id, parent_id = secrets.token_hex(16), secrets.token_hex(8)
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
        answer = await client.post(
            f"{platform.urls['orderfc']}/v1/orders/checkout",
            headers=buyer.headers | {"traceparent": f"00-{trace_id}-{parent_id}-01"},
            json={
                "items": [{"product_id": product["id"], "quantity": 1}],
                "payment_method": "BANK_TRANSFER",
                "shipping_address": "Jalan Merdeka 1, Jakarta",
            },
        )
        order = answer.raise_for_status().json()["order_id"]
        await shop.pay((await buyer.invoice(order))["invoice_id"])
        await buyer.wait_status(order, "completed")

        async def complete() -> list[Span] | None:
            spans = await trace(client, trace_id)
            return spans if {(span.service, span.name) for span in spans} >= EXPECTED else None

        spans: list[Span] = await poll(complete, f"all of {sorted(EXPECTED)}", 60, 0.5)
        ids = {span.span_id for span in spans} | {parent_id}
        assert [span for span in spans if span.parent_id not in ids] == []
        [done] = [span for span in spans if span.name == "process payment.success"]
        linked = [span.name for trace_id in set(done.links) for span in await trace(client, trace_id)]
        assert "POST /v1/payments/xendit/webhook" in linked
    record.step(
        "one order in Jaeger", f"one trace of {len(spans)} spans of four services, and a link to the callback's"
    )
