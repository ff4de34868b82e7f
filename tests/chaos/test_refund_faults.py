"""Faults at each step of a refund: the money is given back once, and every refund comes to its end."""

from typing import Any

import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.payments import LEASE_S, NO_CALLBACKS, control_api, unchecked_invoice

QUICK = {"REFUND_POLL_INTERVAL_S": "1"}
STEPS = ["paymentfc.after_refund_claim", "paymentfc.after_refund_call"]


async def refund_due(arena: Arena) -> int:
    """Have an order cancelled and paid all the same, and return its refund, which is due."""
    _, order = await arena.placed()
    invoice = await unchecked_invoice(arena, order)
    await arena.alice.cancel(order)
    await arena.alice.wait_payment(order, "FAILED")
    await arena.shop.live_invoices(order)
    await arena.shop.pay_late(invoice["invoice_id"])
    return int((await arena.shop.refund_of(order))["id"])


async def row(arena: Arena, refund: int) -> Any:
    [found] = await arena.sql("paymentfc", "SELECT * FROM refunds WHERE id = $1", refund)
    return found


async def at_xendit(arena: Arena, refund: int) -> list[dict[str, Any]]:
    return [one for one in await control_api(arena, "refunds") if one["reference_id"] == f"refund-{refund}"]


async def answered(arena: Arena, refund: int) -> bool:
    """Whether the answer to the request for a refund is stored."""
    return bool((await row(arena, refund))["gateway_id"])


async def wait_refund(arena: Arena, refund: int, status: str, deadline_s: float = 60) -> None:
    async def reached() -> bool:
        return bool((await row(arena, refund))["status"] == status)

    await poll(reached, f"refund {refund} {status}", deadline_s)


async def assert_given_back_once(arena: Arena, refund: int) -> None:
    await wait_refund(arena, refund, "SUCCEEDED")
    await arena.exact()
    [made] = await at_xendit(arena, refund)
    assert (made["status"], made["amount"]) == ("SUCCEEDED", int((await row(arena, refund))["amount"]))


@pytest.mark.fault(94)
@pytest.mark.parametrize("step", STEPS)
async def test_a_refund_whose_worker_is_killed_is_made_once(arena: Arena, step: str) -> None:
    refund = await refund_due(arena)
    async with arena.replaced("paymentfc", QUICK | {"FAILPOINTS": f"{step}=kill"}) as mortal:
        await arena.shop.approve(refund)
        await mortal.killed()
        assert (await row(arena, refund))["status"] == "REQUESTED"
        assert len(await at_xendit(arena, refund)) == (step == STEPS[1])
        await arena.advance(LEASE_S)
    await assert_given_back_once(arena, refund)


@pytest.mark.fault(95)
@pytest.mark.parametrize("fault", ["lost-answer", "time-out"])
async def test_a_refund_that_is_made_and_not_answered_is_made_once(arena: Arena, fault: str) -> None:
    refund = await refund_due(arena)
    switches = NO_CALLBACKS | ({"refund_fails_after_commit": 1} if fault == "lost-answer" else {"refund_delay_s": 12})
    async with arena.back_office.faults(switches):
        await arena.shop.approve(refund)

        async def made() -> bool:
            return bool(await at_xendit(arena, refund)) and bool((await row(arena, refund))["last_error"])

        await poll(made, "a refund whose answer did not come", 30)
    arena.healed()
    await assert_given_back_once(arena, refund)


@pytest.mark.fault(96)
@pytest.mark.parametrize("fault", ["lost", "late", "twice", "failed"])
async def test_a_pending_refund_ends_whatever_becomes_of_its_callback(arena: Arena, fault: str) -> None:
    refund = await refund_due(arena)
    async with arena.back_office.faults({"refund_outcome": "PENDING"}):
        await arena.shop.approve(refund)
        await poll(lambda: at_xendit(arena, refund), "a refund at Xendit")
    [made] = await at_xendit(arena, refund)
    word = "FAILED" if fault == "failed" else "SUCCEEDED"
    switches: dict[str, dict[str, Any]] = {
        "lost": NO_CALLBACKS,
        "late": {"delay_webhooks_s": 3},
        "twice": {"duplicate_webhooks": 2},
    }
    async with arena.back_office.faults(switches.get(fault, {})):
        await control_api(arena, f"refunds/{made['id']}/end", {"status": word})
        arena.healed()
        if fault == "lost":
            await poll(lambda: answered(arena, refund), "paymentfc knows the refund")
            # As long as a refund is left alone before Xendit is asked about it, by default, and a fifth for jitter.
            await arena.advance(72)
        await wait_refund(arena, refund, word)
        await arena.exact()
    assert [one["status"] for one in await at_xendit(arena, refund)] == [word]
