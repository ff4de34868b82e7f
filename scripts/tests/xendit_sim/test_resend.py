"""A webhook is delivered again as the dashboard's button does: the same one, with no retries, also all at once."""

from .conftest import Sim


async def test_a_resend_repeats_the_last_webhook_with_its_id(sim: Sim) -> None:
    made = await sim.create()
    await sim.act(made, "pay", amount=5)
    await sim.settled()
    await sim.act(made, "pay", amount=6)
    _, last = await sim.merchant.got(2)
    answer = await sim.act(made, "resend", times=3)
    assert answer == {"webhook_id": last.headers["webhook-id"], "status": "PAID"}
    for repeated in (await sim.merchant.got(5))[2:]:
        assert repeated.body == last.body
        assert repeated.headers["webhook-id"] == last.headers["webhook-id"]
    assert [item["kind"] for item in await sim.tries(5)] == ["first", "first", "resend", "resend", "resend"]


async def test_a_resend_is_not_tried_again(sim: Sim) -> None:
    made = await sim.create()
    await sim.act(made, "pay")
    await sim.settled()
    sim.merchant.answers.append(500)
    await sim.act(made, "resend")
    assert [item["outcome"] for item in await sim.tries(2)] == ["delivered", "failed"]
    assert sim.sleep.slept == []


async def test_a_resend_of_a_status_repeats_the_last_webhook_of_that_status(sim: Sim) -> None:
    made = await sim.create()
    await sim.act(made, "expire")
    await sim.settled()
    await sim.act(made, "pay", after_expiry=True)
    await sim.settled()
    await sim.act(made, "resend", status="EXPIRED")
    await sim.merchant.got(3)
    await sim.act(made, "resend")
    await sim.merchant.got(4)
    assert sim.merchant.statuses() == ["EXPIRED", "PAID", "EXPIRED", "PAID"]


async def test_parallel_resends_arrive_together_and_others_one_after_another(sim: Sim) -> None:
    made = await sim.create()
    await sim.act(made, "pay")
    await sim.settled()
    gate = sim.merchant.closed_gate()
    await sim.act(made, "resend", times=8, parallel=True)
    await sim.merchant.got(9)
    assert sim.merchant.together == 8
    gate.set()
    await sim.tries(9)
    sim.merchant.gate, sim.merchant.takes_s, sim.merchant.most_together = None, 0.02, 0
    await sim.act(made, "resend", times=8)
    await sim.tries(17)
    assert sim.merchant.most_together == 1


async def test_a_resend_that_arrives_makes_a_lost_webhook_a_delivered_one(sim: Sim) -> None:
    await sim.faults(drop_webhooks=True)
    made = await sim.create()
    await sim.act(made, "pay")
    assert await sim.settled() == {"dropped": 1}
    sim.merchant.answers.append(500)
    await sim.act(made, "resend", times=2)
    await sim.tries(3)
    assert await sim.settled() == {"delivered": 1}


async def test_an_expiry_that_was_not_told_can_be_told_later(sim: Sim) -> None:
    await sim.faults(expired_webhooks=False)
    made = await sim.create()
    await sim.act(made, "expire")
    await sim.act(made, "resend")
    (callback,) = await sim.merchant.got(1)
    assert (callback.status, callback.body["id"]) == ("EXPIRED", made["id"])


async def test_what_never_happened_cannot_be_resent(sim: Sim) -> None:
    made = await sim.create()
    for body in ({}, {"status": "PAID"}):
        answer = await sim.http.post(f"/_sim/invoices/{made['id']}/resend", json=body)
        assert answer.status_code == 409
