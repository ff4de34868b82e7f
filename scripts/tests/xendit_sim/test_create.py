"""POST /v2/invoices: the fields of an invoice, their defaults, and what is truncated."""

import re

import pytest

from .conftest import ITEM, Sim

# What every answer has, by the specification of Xendit's client libraries.
REQUIRED = {
    "id",
    "external_id",
    "user_id",
    "status",
    "merchant_name",
    "merchant_profile_picture_url",
    "amount",
    "expiry_date",
    "invoice_url",
    "available_banks",
    "available_retail_outlets",
    "available_ewallets",
    "available_qr_codes",
    "available_direct_debits",
    "available_paylaters",
    "should_send_email",
    "created",
    "updated",
    "currency",
}


async def test_an_invoice_is_made_with_200_and_has_every_field_that_xendit_promises(sim: Sim) -> None:
    answer = await sim.http.post("/v2/invoices", json={"external_id": "order-7", "amount": 150_000})
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert set(body) >= REQUIRED
    assert not {"paid_at", "paid_amount", "payment_id", "metadata", "description"} & set(body)
    assert re.fullmatch(r"[0-9a-f]{24}", body["id"])
    assert (body["external_id"], body["status"], body["amount"], body["currency"]) == (
        "order-7",
        "PENDING",
        150_000,
        "IDR",
    )
    assert body["invoice_url"] == f"http://pay.test/web/{body['id']}"
    assert body["available_banks"][0]["transfer_amount"] == 150_000


async def test_times_are_utc_with_milliseconds_and_a_day_is_the_default_duration(sim: Sim) -> None:
    body = await sim.create()
    assert body["created"] == body["updated"] == "2026-03-01T09:30:00.250Z"
    assert body["expiry_date"] == "2026-03-02T09:30:00.250Z"
    assert (await sim.create(invoice_duration=90))["expiry_date"] == "2026-03-01T09:31:30.250Z"


async def test_what_was_given_is_shown_again(sim: Sim) -> None:
    given = {
        "description": 'Kopi & "gula" <b>é</b>',
        "payer_email": "a@example.com",
        "locale": "id",
        "items": [{**ITEM, "reference_id": "9", "category": "Drinks"}],
        "fees": [{"type": "ADMIN", "value": 2500.5}],
        "customer": {"given_names": "A", "email": "a@example.com", "addresses": [{"country": "ID"}]},
        "customer_notification_preference": {"invoice_paid": ["email"]},
        "metadata": {"branch": "Jakarta"},
        "success_redirect_url": "https://shop.test/ok",
        "failure_redirect_url": "https://shop.test/no",
        "should_send_email": True,
        "should_authenticate_credit_card": False,
        "channel_properties": {"cards": {"allowed_bins": ["411111"]}},
    }
    body = await sim.create(**given)
    assert {name: body[name] for name in given} == given
    assert await sim.get(body) == body


async def test_the_path_may_end_in_a_slash(sim: Sim) -> None:
    answer = await sim.http.post("/v2/invoices/", json={"external_id": "order-7", "amount": 10})
    assert answer.status_code == 200


@pytest.mark.parametrize(("amount", "shown"), [("4550.50", 4550), ("4550.999", 4550), ("4550.0", 4550), ("1e3", 1000)])
async def test_rupiah_lose_their_decimals(sim: Sim, amount: str, shown: int) -> None:
    raw = f'{{"external_id": "order-7", "amount": {amount}}}'
    answer = await sim.http.post("/v2/invoices", content=raw, headers={"content-type": "application/json"})
    assert answer.json()["amount"] == shown
    assert f'"amount": {shown},' in answer.text


async def test_a_large_amount_is_truncated_exactly_and_not_by_way_of_a_float(sim: Sim) -> None:
    raw = '{"external_id": "order-7", "amount": 4503599627370495.9999}'
    assert (await sim.http.post("/v2/invoices", content=raw)).json()["amount"] == 4503599627370495


async def test_other_currencies_keep_their_decimals(sim: Sim) -> None:
    body = await sim.create(amount=12.34, currency="USD")
    assert (body["amount"], body["currency"]) == (12.34, "USD")


async def test_an_external_id_is_not_unique(sim: Sim) -> None:
    first, second = await sim.create(), await sim.create()
    assert first["id"] != second["id"]
    found = (await sim.http.get("/v2/invoices", params={"external_id": "order-7"})).json()
    assert [invoice["id"] for invoice in found] == [second["id"], first["id"]]


async def test_an_idempotency_key_changes_nothing(sim: Sim) -> None:
    for _ in range(2):
        headers = {"x-idempotency-key": "k"}
        await sim.http.post("/v2/invoices", json={"external_id": "order-7", "amount": 10}, headers=headers)
    assert len((await sim.http.get("/v2/invoices")).json()) == 2


async def test_items_and_fees_need_not_add_up_to_the_amount(sim: Sim) -> None:
    assert (await sim.create(items=[{**ITEM, "price": 1}], fees=[{"type": "x", "value": 7}]))["amount"] == 150_000
