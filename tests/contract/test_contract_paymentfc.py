"""The contract of paymentfc over the running stack: callbacks, invoices, PDFs."""

from typing import Any

import pytest

from fc.demo.shop import Customer, Shop, poll
from tests.contract.api import Api, Payment, sentence
from tests.kit.answers import outcome
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus
from tests.kit.stacks import secret_of

WEBHOOK = "/v1/payments/xendit/webhook"
PROCESSED = (200, {"message": "webhook processed"})


async def _provider(api: Api, invoice: str, action: str, **body: Any) -> None:
    url = f"{api.stack.layout.url('xendit')}/_sim/invoices/{invoice}/{action}"
    (await api.client.post(url, json=body)).raise_for_status()


async def _pay_without_callback(api: Api, back_office: BackOffice, payment: Payment) -> None:
    """Pay at the provider while its callback is lost."""
    async with back_office.faults({"drop_webhooks": 1}):
        await _provider(api, payment["invoice_id"], "pay")


async def _steps(alice: Customer, order: int) -> list[str]:
    return [step["status"] for step in (await alice.order(order))["history"]]


async def test_a_payment_has_the_fields_that_a_client_needs_to_pay(payment: Payment, api: Api) -> None:
    assert set(payment) >= {"order_id", "status", "amount", "invoice_id", "invoice_url", "expires_at"}
    assert (payment["status"], payment["amount"], payment["currency"]) == ("PENDING", 25_000, "IDR")
    assert payment["external_id"] == f"order-{payment['order_id']}"
    assert payment["expires_at"].endswith("Z")
    assert (await api.client.get(payment["invoice_url"])).status_code == 200


async def test_a_paid_callback_pays_and_says_so(
    payment: Payment, api: Api, back_office: BackOffice, alice: Customer
) -> None:
    await _pay_without_callback(api, back_office, payment)
    answer = await api.callback(payment)
    assert (answer.status_code, answer.json()) == PROCESSED
    await alice.wait_payment(payment["order_id"], "PAID")
    await alice.wait_status(payment["order_id"], "completed")


async def test_settled_pays_as_paid_does(payment: Payment, api: Api, back_office: BackOffice, alice: Customer) -> None:
    await _pay_without_callback(api, back_office, payment)
    assert (await api.callback(payment, "SETTLED")).status_code == 200
    await alice.wait_payment(payment["order_id"], "PAID")
    await alice.wait_status(payment["order_id"], "completed")


async def test_twenty_identical_callbacks_at_once_make_one_transition_and_one_event(
    payment: Payment, api: Api, shop: Shop, back_office: BackOffice, alice: Customer, bus: Bus
) -> None:
    await _pay_without_callback(api, back_office, payment)
    await _provider(api, payment["invoice_id"], "resend", times=20, parallel=True)
    assert await shop.deliveries(payment["invoice_id"], 20) == [200] * 20
    await alice.wait_status(payment["order_id"], "completed")
    await bus.consumed()
    events = [event.topic for event in await bus.events_of(payment["order_id"])]
    assert sorted(events) == ["order.created", "payment.success", "stock.updated"]
    assert await _steps(alice, payment["order_id"]) == ["created", "completed"]
    assert await api.anomalies(payment["external_id"]) == []


async def test_expired_after_paid_changes_nothing(
    payment: Payment, api: Api, shop: Shop, alice: Customer, bus: Bus
) -> None:
    await shop.pay(payment["invoice_id"])
    await alice.wait_status(payment["order_id"], "completed")
    answer = await api.callback(payment, "EXPIRED")
    assert (answer.status_code, answer.json()) == PROCESSED
    assert (await alice.payment(payment["order_id"]))["status"] == "PAID"
    await bus.consumed()
    assert await _steps(alice, payment["order_id"]) == ["created", "completed"]
    assert await api.anomalies(payment["external_id"]) == []


async def test_paid_after_expired_is_an_anomaly_once_and_the_order_fails_with_its_stock_given_back_once(
    payment: Payment, api: Api, shop: Shop, back_office: BackOffice, alice: Customer, bus: Bus
) -> None:
    order = payment["order_id"]
    await shop.expire(payment["invoice_id"])
    await alice.wait_status(order, "cancelled")
    assert (await alice.payment(order))["reason"] == "expired"
    await _provider(api, payment["invoice_id"], "pay", after_expiry=True)
    await alice.wait_status(order, "failed")
    assert (await api.callback(payment)).status_code == 200
    await bus.consumed()
    assert (await alice.payment(order))["status"] == "EXPIRED"
    [anomaly] = await api.anomalies(payment["external_id"])
    assert (anomaly["kind"], anomaly["order_id"]) == ("paid_after_close", order)
    assert await _steps(alice, order) == ["created", "cancelled", "failed"]
    topics = sorted(event.topic for event in await bus.events_of(order))
    assert topics == ["order.created", "payment.failed", "payment.success", "stock.rollback", "stock.updated"]
    [line] = (await alice.order(order))["products"]
    await back_office.wait_stock({"id": line["product_id"]}, 1)


@pytest.mark.parametrize(
    ("status", "changes", "kind", "received"),
    [
        ("PAID", {"amount": 24_999}, "amount_mismatch", "24999"),
        ("PAID", {"paid_amount": 25_001}, "amount_mismatch", "25001"),
        ("PAID", {"paid_amount": 25_000.5}, "amount_mismatch", "25000.5"),
        ("SETTLED", {"currency": "USD"}, "currency_mismatch", "USD"),
        ("REFUNDED", {}, "unknown_status", "REFUNDED"),
        ("PAID", {"id": "another-invoice"}, "unknown_invoice", "another-invoice"),
    ],
)
async def test_what_does_not_fit_is_recorded_once_answered_200_and_moves_nothing(
    payment: Payment, api: Api, alice: Customer, status: str, changes: dict[str, Any], kind: str, received: str
) -> None:
    for _ in range(2):
        answer = await api.callback(payment, status, **changes)
        assert (answer.status_code, answer.json()) == PROCESSED
    [found] = await api.anomalies(payment["external_id"])
    assert set(found) == {
        "id",
        "order_id",
        "external_id",
        "kind",
        "expected",
        "received",
        "resolved_at",
        "note",
        "create_time",
    }
    assert (found["kind"], found["resolved_at"], found["note"]) == (kind, None, None)
    assert received in found["received"]
    assert (await alice.payment(payment["order_id"]))["status"] == "PENDING"
    assert await _steps(alice, payment["order_id"]) == ["created"]


async def test_paid_amount_counts_where_it_is_present(
    payment: Payment, api: Api, back_office: BackOffice, alice: Customer
) -> None:
    await _pay_without_callback(api, back_office, payment)
    await api.callback(payment, amount=1, paid_amount=payment["amount"])
    await alice.wait_payment(payment["order_id"], "PAID")


async def test_money_for_an_order_that_is_not_known_yet_is_applied_when_its_payment_appears(
    api: Api, back_office: BackOffice, alice: Customer
) -> None:
    product = await back_office.product(stock=2, price=31_000)
    expected = await alice.checkout(product, 1) + 1
    key = secret_of(api.stack, "paymentfc", "xendit_secret_api_key")
    made = await api.client.post(
        f"{api.stack.layout.url('xendit')}/v2/invoices",
        auth=(key, ""),
        json={"external_id": f"order-{expected}", "amount": 31_000, "currency": "IDR"},
    )
    invoice = made.raise_for_status().json()["id"]
    await _provider(api, invoice, "pay")
    assert [item["kind"] for item in await poll(lambda: api.anomalies(f"order-{expected}"), "the early callback")] == [
        "unknown_invoice"
    ]
    assert await alice.payment(expected) == {}
    assert await alice.checkout(product, 1) == expected
    await alice.wait_status(expected, "completed")
    paid = await alice.payment(expected)
    assert (paid["status"], paid["invoice_id"]) == ("PAID", invoice)


@pytest.mark.parametrize("token", [None, "", "wrong"])
async def test_a_wrong_token_is_401_before_the_body_is_looked_at(api: Api, token: str | None) -> None:
    headers = {"content-type": "application/json"} | ({} if token is None else {"x-callback-token": token})
    answer = await api.ask("paymentfc", "POST", WEBHOOK, content=b"{not json", headers=headers)
    assert outcome(answer) == (401, "invalid_callback_token")
    assert sentence(answer)[1] == "invalid callback token"


@pytest.mark.parametrize(
    "changes", [{"amount": "25000"}, {"amount": None}, {"id": None}, {"status": 1}, {"external_id": ""}]
)
async def test_a_body_that_is_no_callback_is_400_and_changes_nothing(
    payment: Payment, api: Api, alice: Customer, changes: dict[str, Any]
) -> None:
    assert outcome(await api.callback(payment, **changes)) == (400, "validation_failed")
    assert (await alice.payment(payment["order_id"]))["status"] == "PENDING"
    assert await api.anomalies(payment["external_id"]) == []


async def test_asking_for_an_invoice_gives_the_live_one_of_our_own_records(
    payment: Payment, api: Api, alice: Customer, bob: Customer, shop: Shop
) -> None:
    body = {"order_id": payment["order_id"], "amount": 1, "payer_email": "eve@example.com"}
    for who in (alice, api.admin):
        answer = await api.ask("paymentfc", "POST", "/v1/payments/invoice", who, json=body)
        assert (answer.status_code, answer.json()) == (
            200,
            {"id": payment["invoice_id"], "invoice_url": payment["invoice_url"], "status": "PENDING"},
        )
    stranger = await api.ask("paymentfc", "POST", "/v1/payments/invoice", bob, json=body)
    assert outcome(stranger) == (404, "not_found")
    assert await shop.invoices(payment["order_id"]) == 1
    url = f"{api.stack.layout.url('xendit')}/_sim/invoices?external_id={payment['external_id']}"
    [made] = (await api.client.get(url)).json()
    assert (made["amount"], made["payer_email"]) == (payment["amount"], "alice@example.com")


async def test_there_is_no_invoice_for_what_is_paid_or_expired_and_none_for_an_unknown_order(
    payment: Payment, api: Api, shop: Shop, alice: Customer, back_office: BackOffice
) -> None:
    expired = await alice.invoice(await alice.checkout(await back_office.product(stock=1), 1))
    await shop.pay(payment["invoice_id"])
    await shop.expire(expired["invoice_id"])
    await alice.wait_payment(payment["order_id"], "PAID")
    await alice.wait_payment(expired["order_id"], "EXPIRED")
    for order in (payment["order_id"], expired["order_id"]):
        answer = await api.ask("paymentfc", "POST", "/v1/payments/invoice", alice, json={"order_id": order})
        assert outcome(answer) == (409, "payment_closed")
    unknown = await api.ask("paymentfc", "POST", "/v1/payments/invoice", alice, json={"order_id": 2**62})
    assert outcome(unknown) == (404, "not_found")


async def test_while_xendit_is_down_asking_for_an_invoice_is_503_and_says_when_to_come_back(
    api: Api, back_office: BackOffice, alice: Customer
) -> None:
    async with back_office.faults({"create_status": 503}):
        order = await alice.checkout(await back_office.product(stock=1), 1)
        await poll(lambda: alice.payment(order), "the payment without an invoice")
        waiting = await alice.payment(order)
        assert (waiting["status"], waiting["invoice_url"]) == ("PENDING", None)
        answer = await api.ask("paymentfc", "POST", "/v1/payments/invoice", alice, json={"order_id": order})
        assert outcome(answer) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        pdf = await api.ask("paymentfc", "GET", f"/v1/payments/invoice/{order}/pdf", alice)
        assert outcome(pdf) == (404, "not_found")
    assert (await alice.invoice(order))["status"] == "PENDING"


async def test_the_pdf_is_an_attachment_named_after_its_order(payment: Payment, api: Api, alice: Customer) -> None:
    answer = await api.ask("paymentfc", "GET", f"/v1/payments/invoice/{payment['order_id']}/pdf", alice)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    name = f"invoice_{payment['order_id']}.pdf"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.content.startswith(b"%PDF-")


async def test_before_a_payment_exists_its_routes_are_404(api: Api, alice: Customer) -> None:
    for path in (f"/v1/payments/{2**62}", f"/v1/payments/invoice/{2**62}/pdf"):
        assert outcome(await api.ask("paymentfc", "GET", path, alice)) == (404, "not_found")
