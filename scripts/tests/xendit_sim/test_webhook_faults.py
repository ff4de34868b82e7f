"""Callbacks that are lost, repeated, late, out of order or forged, each by its switch."""

import asyncio

import httpx2
import pytest

from testkit import eventually
from testkit.asgi import serving

from .conftest import KEY, TOKEN, Merchant, Sim, Sleep, simulated


async def test_a_dropped_webhook_never_arrives_while_the_invoice_is_paid(sim: Sim) -> None:
    await sim.faults(drop_webhooks=True)
    made = await sim.create()
    for _ in range(3):
        await sim.act(made, "pay")
    assert await sim.settled() == {"dropped": 3}
    assert (await sim.get(made))["status"] == "PAID"
    assert sim.merchant.callbacks == []
    assert {item["outcome"] for item in await sim.tries(3)} == {"dropped"}


async def test_a_number_of_drops_is_used_up(sim: Sim) -> None:
    await sim.faults(drop_webhooks=2)
    await sim.act(await sim.create(), "pay", times=3)
    assert await sim.settled() == {"dropped": 2, "delivered": 1}
    assert len(sim.merchant.callbacks) == 1
    assert (await sim.http.get("/_sim/faults")).json()["drop_webhooks"] == 0


async def test_duplicates_follow_a_success_with_the_same_id_and_body(sim: Sim) -> None:
    await sim.faults(duplicate_webhooks=2)
    sim.merchant.answers.append(500)
    await sim.act(await sim.create(), "pay")
    tries = await sim.tries(4)
    assert [item["kind"] for item in tries] == ["first", "retry", "duplicate", "duplicate"]
    first, *others = sim.merchant.callbacks
    assert {callback.headers["webhook-id"] for callback in others} == {first.headers["webhook-id"]}
    assert all(callback.body == first.body for callback in others)


async def test_a_failure_is_not_duplicated(sim: Sim) -> None:
    await sim.faults(duplicate_webhooks=2, auto_retry=False)
    sim.merchant.answers.append(500)
    await sim.act(await sim.create(), "pay")
    assert await sim.settled() == {"failed": 1}
    await sim.act(await sim.create(), "pay")
    assert [item["kind"] for item in await sim.tries(4)] == ["first", "first", "duplicate", "duplicate"]


async def test_a_delay_comes_before_the_first_try_only(sim: Sim) -> None:
    await sim.faults(delay_webhooks_s=7.5)
    sim.merchant.answers.append(500)
    await sim.act(await sim.create(), "pay")
    await sim.settled()
    assert sim.sleep.slept == [7.5, 900]


async def test_nothing_arrives_before_its_delay_is_over(merchant: Merchant) -> None:
    async with simulated(merchant, sleep=Sleep(blocked=True)) as sim:
        await sim.faults(delay_webhooks_s=1)
        made = await sim.create()
        await sim.act(made, "pay")
        await eventually(lambda: sim.sleep.slept == [1])
        assert (await sim.get(made))["status"] == "PAID"
        assert (await sim.http.get("/_sim/deliveries")).json() == []


async def test_reordered_webhooks_arrive_in_pairs_the_newer_first(sim: Sim) -> None:
    await sim.faults(reorder_webhooks=True)
    made = await sim.create()
    await sim.act(made, "expire")
    assert (await sim.http.get("/_sim/deliveries")).json() == []
    await sim.act(made, "pay", after_expiry=True)
    await sim.merchant.got(2)
    assert sim.merchant.statuses() == ["PAID", "EXPIRED"]


async def test_the_older_waits_for_the_answer_to_the_newer(sim: Sim) -> None:
    gate = sim.merchant.closed_gate()
    await sim.faults(reorder_webhooks=True)
    made = await sim.create()
    await sim.act(made, "pay", times=2)
    (newer,) = await sim.merchant.got(1)
    assert sim.merchant.together == 1
    gate.set()
    _, older = await sim.merchant.got(2)
    assert sim.merchant.most_together == 1
    assert older.body["payment_id"] == (await sim.get(made))["payment_id"] != newer.body["payment_id"]


async def test_a_webhook_held_back_goes_out_when_reordering_ends(sim: Sim) -> None:
    await sim.faults(reorder_webhooks=True)
    await sim.act(await sim.create(), "pay")
    await sim.faults(reorder_webhooks=True, wrong_token=False)
    assert (await sim.http.get("/_sim/stats")).json()["webhooks"] == {"pending": 1}
    await sim.faults()
    assert await sim.settled() == {"delivered": 1}


async def test_a_wrong_token_is_not_the_token(sim: Sim) -> None:
    await sim.faults(wrong_token=True)
    made = await sim.create()
    await sim.act(made, "pay")
    await sim.settled()
    await sim.faults()
    await sim.act(made, "resend")
    forged, true = await sim.merchant.got(2)
    assert forged.headers["x-callback-token"] != TOKEN
    assert true.headers["x-callback-token"] == TOKEN
    assert forged.body == true.body


async def test_webhook_ids_may_change_from_try_to_try(sim: Sim) -> None:
    await sim.faults(keep_webhook_id=False)
    sim.merchant.answers.extend([500, 500])
    await sim.act(await sim.create(), "pay")
    callbacks = await sim.merchant.got(3)
    ids = [callback.headers["webhook-id"] for callback in callbacks]
    assert len(set(ids)) == 3
    assert [item["webhook_id"] for item in await sim.tries(3)] == ids


async def test_expiry_is_not_told_when_its_callback_is_off(sim: Sim) -> None:
    await sim.faults(expired_webhooks=False)
    called, timed = await sim.create(), await sim.create(invoice_duration=5)
    await sim.act(called, "expire")
    sim.clock.advance(6)
    assert (await sim.get(timed))["status"] == "EXPIRED"
    assert (await sim.http.get("/_sim/stats")).json()["webhooks"] == {}


async def test_unknown_fields_appear_in_callbacks_and_in_every_answer(sim: Sim) -> None:
    await sim.faults(unknown_fields=True)
    made = await sim.create()
    await sim.act(made, "pay")
    (callback,) = await sim.merchant.got(1)
    listed = (await sim.http.get("/v2/invoices")).json()
    expired = (await sim.http.post(f"/invoices/{(await sim.create())['id']}/expire!")).json()
    for body in (made, await sim.get(made), listed[0], expired, callback.body):
        assert body["x_new_field"] == {"nested": [1, None, "ü"]}


@pytest.mark.parametrize("status", ["EXPIRED", "PAID"])
async def test_money_after_expiry_is_told_as_paid_whatever_the_invoice_shows(sim: Sim, status: str) -> None:
    await sim.faults(late_payment_status=status)
    made = await sim.create()
    await sim.act(made, "expire")
    await sim.settled()
    shown = await sim.act(made, "pay", after_expiry=True)
    _, callback = await sim.merchant.got(2)
    assert (callback.status, callback.body["paid_amount"]) == ("PAID", 150_000)
    assert shown["status"] == status
    assert shown["paid_amount"] == 150_000
    assert await sim.get(made) == shown


async def test_a_payer_may_pay_another_amount_or_currency(sim: Sim) -> None:
    made = await sim.create()
    await sim.act(made, "pay", amount=149_999.5, currency="USD")
    (callback,) = await sim.merchant.got(1)
    assert (callback.body["amount"], callback.body["paid_amount"]) == (150_000, 149_999.5)
    assert callback.body["currency"] == "USD"
    body = await sim.get(made)
    assert (body["status"], body["amount"], body["paid_amount"], body["currency"]) == (
        "PAID",
        150_000,
        149_999.5,
        "IDR",
    )


async def test_paid_before_anyone_looked(sim: Sim) -> None:
    await sim.faults(auto_pay=True)
    made = await sim.create()
    assert made["status"] == "PENDING"
    assert (await sim.get(made))["status"] == "PAID"
    (callback,) = await sim.merchant.got(1)
    assert callback.body["id"] == made["id"]


async def test_the_webhook_can_come_before_the_answer_to_the_create_call(sim: Sim) -> None:
    await sim.faults(webhook_before_response=True)
    gate = sim.merchant.closed_gate()
    creating = asyncio.create_task(sim.create())
    (callback,) = await sim.merchant.got(1)
    assert not creating.done()
    gate.set()
    made = await creating
    assert (made["id"], made["status"]) == (callback.body["id"], "PENDING")


async def test_a_create_call_that_runs_into_the_callers_timeout_was_done(sim: Sim) -> None:
    await sim.faults(create_delay_s=600)
    async with (
        serving(sim.app, lifespan="off") as url,
        httpx2.AsyncClient(base_url=url, auth=httpx2.BasicAuth(KEY, ""), trust_env=False) as client,
    ):
        with pytest.raises(httpx2.ReadTimeout):
            await client.post("/v2/invoices", json={"external_id": "order-7", "amount": 5}, timeout=0.2)
        await sim.faults()
        (found,) = (await client.get("/v2/invoices", params={"external_id": "order-7"})).json()
        assert found["status"] == "PENDING"
