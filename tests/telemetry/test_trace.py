"""One trace from checkout to completion, over HTTP, gRPC and Kafka, through all four services."""

import secrets

import httpx2

from fc.demo.shop import Shop, poll
from tests.kit.back_office import BackOffice
from tests.kit.otlp_sink import OtlpSink, Span

EXPECTED = {
    ("orderfc", "POST /v1/orders/checkout"),
    ("productfc", "GET /v1/products"),
    ("productfc", "process stock.updated"),
    ("paymentfc", "process order.created"),
    ("paymentfc", "create invoice"),
    ("paymentfc", "xendit create"),
    ("userfc", "user.UserService/GetUserInfoByUserId"),
    ("orderfc", "process payment.success"),
}


async def test_an_order_is_one_trace_from_checkout_to_completion_and_links_the_webhook(
    shop: Shop, back_office: BackOffice, client: httpx2.AsyncClient, sink: OtlpSink
) -> None:
    # Whose address paymentfc has to ask for.
    product, payer = await back_office.product(stock=3), await shop.newcomer()
    trace_id, parent_id = secrets.token_hex(16), secrets.token_hex(8)
    answer = await client.post(
        f"{back_office.stack.layout.url('orderfc')}/v1/orders/checkout",
        headers=payer.headers | {"traceparent": f"00-{trace_id}-{parent_id}-01"},
        json={
            "items": [{"product_id": product["id"], "quantity": 1}],
            "payment_method": "BANK_TRANSFER",
            "shipping_address": "Jalan Merdeka 1, Jakarta",
        },
    )
    order = answer.raise_for_status().json()["order_id"]
    payment = await payer.invoice(order)
    await shop.pay(payment["invoice_id"])
    await payer.wait_status(order, "completed")

    async def complete() -> list[Span] | None:
        spans = sink.trace(trace_id)
        return spans if {(span.service, span.name) for span in spans} >= EXPECTED else None

    spans: list[Span] = await poll(complete, f"all of {sorted(EXPECTED)}", 30)

    ids = {span.span_id for span in spans} | {parent_id}
    assert [span for span in spans if span.parent_id not in ids] == []
    [done] = [span for span in spans if span.name == "process payment.success"]
    webhooks = {span.trace_id for span in sink.spans if span.name == "POST /v1/payments/xendit/webhook"}
    assert set(done.links) <= webhooks
    assert done.links
