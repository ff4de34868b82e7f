"""Callbacks as Xendit sends them: their content, retries, and the end of retries."""

import pytest

from testkit import free_port
from xendit_sim.webhooks import CONNECTIONS

from .conftest import TOKEN, Merchant, Sim, Sleep, simulated

MINUTE, HOUR = 60, 3600
# Minutes and hours after the try before: the documented +15m, +1h, +3h, +6h, +12h, +24h.
GAPS = [15 * MINUTE, 45 * MINUTE, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR]
# What the callback always has, by the specification of Xendit's client libraries.
REQUIRED = {
    "id",
    "external_id",
    "user_id",
    "status",
    "merchant_name",
    "amount",
    "created",
    "updated",
    "currency",
}


async def test_a_payment_is_told_with_the_token_an_id_and_a_flat_body(sim: Sim) -> None:
    made = await sim.create(description="Kopi", items=[{"name": "Kopi", "price": 150_000, "quantity": 1}])
    sim.clock.advance(60)
    await sim.act(made, "pay")
    (callback,) = await sim.merchant.got(1)
    assert callback.method == "POST"
    assert callback.headers["x-callback-token"] == TOKEN
    assert callback.headers["content-type"] == "application/json"
    assert callback.headers["webhook-id"]
    body = callback.body
    assert set(body) >= REQUIRED
    assert (body["id"], body["external_id"], body["status"]) == (made["id"], "order-7", "PAID")
    assert (body["amount"], body["paid_amount"], body["currency"]) == (150_000, 150_000, "IDR")
    assert body["paid_at"] == "2026-03-01T09:31:00.250Z"
    assert body["items"] == made["items"]
    assert list(body) == sorted(body, key=lambda name: (len(name), name))


async def test_what_xendit_leaves_out_of_a_callback_is_left_out(sim: Sim) -> None:
    made = await sim.create(metadata={"a": "b"}, customer={"email": "a@example.com"})
    await sim.act(made, "pay")
    (callback,) = await sim.merchant.got(1)
    assert not {"metadata", "customer", "invoice_url", "expiry_date", "event", "data"} & set(callback.body)


async def test_an_expiry_is_told_without_anything_about_a_payment(sim: Sim) -> None:
    made = await sim.create()
    await sim.http.post(f"/invoices/{made['id']}/expire!")
    (callback,) = await sim.merchant.got(1)
    assert callback.status == "EXPIRED"
    assert set(callback.body) >= REQUIRED
    assert not {name for name in callback.body if name.startswith(("paid_", "payment_"))}


async def test_neither_creation_nor_settlement_is_told(sim: Sim) -> None:
    made = await sim.create()
    await sim.act(made, "pay")
    await sim.act(made, "settle")
    await sim.settled()
    assert sim.merchant.statuses() == ["PAID"]


async def test_six_retries_come_in_the_documented_gaps_with_the_id_of_the_first_try(sim: Sim) -> None:
    sim.merchant.answers.extend([500] * 9)
    await sim.act(await sim.create(), "pay")
    assert await sim.settled() == {"failed": 1}
    assert sim.sleep.slept == GAPS
    assert len(sim.merchant.callbacks) == 7
    assert len({callback.headers["webhook-id"] for callback in sim.merchant.callbacks}) == 1
    assert all(callback.body == sim.merchant.callbacks[0].body for callback in sim.merchant.callbacks)
    tries = await sim.tries(7)
    assert [(item["kind"], item["attempt"]) for item in tries] == [("first", 1)] + [("retry", n) for n in range(2, 8)]
    assert {item["status_code"] for item in tries} == {500}


async def test_retries_end_with_the_first_success(sim: Sim) -> None:
    sim.merchant.answers.extend([503, 503, 204])
    await sim.act(await sim.create(), "pay")
    assert await sim.settled() == {"delivered": 1}
    assert sim.sleep.slept == GAPS[:2]
    assert [item["outcome"] for item in await sim.tries(3)] == ["failed", "failed", "delivered"]


async def test_the_gaps_are_scaled(merchant: Merchant) -> None:
    merchant.answers.append(500)
    async with simulated(merchant, retry_scale=1 / 900) as sim:
        await sim.act(await sim.create(), "pay")
        await sim.settled()
        assert sim.sleep.slept == [pytest.approx(1.0)]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_success(sim: Sim, status: int) -> None:
    sim.merchant.answers.append(status)
    await sim.act(await sim.create(), "pay")
    assert await sim.settled() == {"delivered": 1}
    assert len(sim.merchant.callbacks) == 1


@pytest.mark.parametrize("status", [302, 307, 400, 401, 404, 409, 410, 422, 429, 500, 503])
async def test_everything_else_is_tried_again_and_a_redirect_is_not_followed(sim: Sim, status: int) -> None:
    sim.merchant.answers.append(status)
    await sim.act(await sim.create(), "pay")
    assert await sim.settled() == {"delivered": 1}
    assert [item["status_code"] for item in await sim.tries(2)] == [status, 200]
    assert [callback.method for callback in sim.merchant.callbacks] == ["POST", "POST"]


async def test_a_refused_connection_is_tried_again_and_named(sim: Sim) -> None:
    merchant = Merchant(f"http://127.0.0.1:{free_port()}/")
    async with simulated(merchant) as alone:
        await alone.act(await alone.create(), "pay")
        assert await alone.settled() == {"failed": 1}
        assert alone.sleep.slept == GAPS
        tries = await alone.tries(7)
        assert tries[0]["status_code"] is None
        assert tries[0]["error"].startswith("ConnectError")


async def test_a_timeout_is_not_tried_again(sim: Sim) -> None:
    assert (await sim.faults())["webhook_timeout_s"] == 30
    await sim.faults(webhook_timeout_s=0.05)
    sim.merchant.answers.append(None)
    await sim.act(await sim.create(), "pay")
    assert await sim.settled() == {"timeout": 1}
    assert sim.sleep.slept == []
    (item,) = await sim.tries(1)
    assert (item["outcome"], item["error"], item["status_code"]) == ("timeout", "no answer within 0.05 s", None)


async def test_a_timeout_is_tried_again_when_that_is_switched_on(sim: Sim) -> None:
    await sim.faults(webhook_timeout_s=0.05, retry_timeouts=True)
    sim.merchant.answers.extend([None, 500, None])
    await sim.act(await sim.create(), "pay")
    assert await sim.settled() == {"delivered": 1}
    assert sim.sleep.slept == GAPS[:3]
    assert [item["outcome"] for item in await sim.tries(4)] == ["timeout", "failed", "timeout", "delivered"]


async def test_without_automatic_retries_there_is_one_try(sim: Sim) -> None:
    await sim.faults(auto_retry=False)
    sim.merchant.answers.append(500)
    await sim.act(await sim.create(), "pay")
    assert await sim.settled() == {"failed": 1}
    assert len(sim.merchant.callbacks) == 1


async def test_hanging_deliveries_do_not_take_the_time_of_those_that_wait_for_a_connection(sim: Sim) -> None:
    await sim.faults(webhook_timeout_s=1.5)
    sim.merchant.answers.extend([None] * CONNECTIONS)
    made = await sim.create()
    await sim.act(made, "pay", times=CONNECTIONS)
    await sim.merchant.got(CONNECTIONS)
    await sim.faults(webhook_timeout_s=0.5)
    await sim.act(made, "pay", times=5)
    assert await sim.settled() == {"timeout": CONNECTIONS, "delivered": 5}


async def test_each_payment_has_a_callback_and_an_identity_of_its_own(sim: Sim) -> None:
    made = await sim.create()
    await sim.act(made, "pay", times=2)
    await sim.act(made, "pay")
    callbacks = await sim.merchant.got(3)
    assert sim.merchant.statuses() == ["PAID"] * 3
    assert len({callback.headers["webhook-id"] for callback in callbacks}) == 3
    assert len({callback.body["payment_id"] for callback in callbacks}) == 3
    assert (await sim.get(made))["payment_id"] == callbacks[0].body["payment_id"]


async def test_a_delivery_is_recorded_with_what_was_sent_and_answered(sim: Sim) -> None:
    made = await sim.create()
    await sim.act(made, "pay")
    (item,) = await sim.tries(1)
    (callback,) = sim.merchant.callbacks
    assert item["duration_ms"] > 0
    assert item == {
        "webhook_id": callback.headers["webhook-id"],
        "invoice_id": made["id"],
        "external_id": "order-7",
        "status": "PAID",
        "kind": "first",
        "attempt": 1,
        "at": "2026-03-01T09:30:00.250Z",
        "outcome": "delivered",
        "status_code": 200,
        "error": None,
        "duration_ms": item["duration_ms"],
        "body": callback.body,
    }


async def test_no_retry_is_left_running_when_the_simulator_stops(merchant: Merchant) -> None:
    merchant.answers.extend([500] * 9)
    async with simulated(merchant, sleep=Sleep(blocked=True)) as sim:
        await sim.act(await sim.create(), "pay")
        await sim.tries(1)
    assert len(merchant.callbacks) == 1
    assert not sim.inside.webhooks._tasks
