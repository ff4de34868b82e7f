"""Refunds: made once for a key, at most what was paid, ended at once or later, and told by callbacks."""

from typing import Any

import httpx2
import pytest

from .conftest import Sim


async def ask(sim: Sim, invoice: dict[str, Any], key: str | None = "refund-1", **fields: Any) -> httpx2.Response:
    """Ask for a refund of the whole invoice."""
    body = {
        "invoice_id": invoice["id"],
        "amount": 150_000,
        "currency": "IDR",
        "reason": "CANCELLATION",
        "reference_id": "refund-1",
        **fields,
    }
    return await sim.http.post("/refunds", json=body, headers={} if key is None else {"Idempotency-key": key})


async def paid(sim: Sim) -> dict[str, Any]:
    invoice = await sim.create()
    await sim.act(invoice, "pay")
    await sim.merchant.got(1)
    sim.merchant.callbacks.clear()
    return invoice


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


async def test_a_refund_has_the_fields_of_xendits_and_is_told_at_its_end(sim: Sim) -> None:
    invoice = await paid(sim)
    answer = await ask(sim, invoice)
    assert answer.status_code == 200
    made = answer.json()
    shown = {name: made[name] for name in ("invoice_id", "amount", "currency", "status", "reason", "reference_id")}
    assert shown == {
        "invoice_id": invoice["id"],
        "amount": 150_000,
        "currency": "IDR",
        "status": "SUCCEEDED",
        "reason": "CANCELLATION",
        "reference_id": "refund-1",
    }
    assert made["id"].startswith("rfd-")
    assert (await sim.http.get(f"/refunds/{made['id']}")).json() == made
    assert (await sim.http.get(f"/refunds?invoice_id={invoice['id']}")).json()["data"] == [made]
    assert (await sim.http.get("/refunds?invoice_id=x")).json()["data"] == []
    (callback,) = await sim.merchant.got(1)
    assert (callback.body["event"], callback.body["data"]) == ("refund.succeeded", made)


async def test_the_same_key_makes_one_refund_and_another_request_with_it_is_refused(sim: Sim) -> None:
    invoice = await paid(sim)
    made = [(await ask(sim, invoice, amount=50_000)).json() for _ in range(3)]
    assert len({one["id"] for one in made}) == 1
    assert refusal(await ask(sim, invoice, amount=1)) == (409, "IDEMPOTENCY_ERROR")
    assert (await ask(sim, invoice, None, amount=100_000)).status_code == 200
    assert len((await sim.http.get("/_sim/refunds")).json()) == 2


async def test_no_more_is_refunded_than_was_paid_and_what_failed_does_not_count(sim: Sim) -> None:
    invoice = await paid(sim)
    assert refusal(await ask(sim, invoice, amount=150_001)) == (400, "MAXIMUM_REFUND_AMOUNT_REACHED")
    assert (await ask(sim, invoice, "a", amount=100_000)).status_code == 200
    assert refusal(await ask(sim, invoice, "b", amount=50_001)) == (400, "MAXIMUM_REFUND_AMOUNT_REACHED")
    await sim.faults(refund_outcome="FAILED", refund_failure_code="INSUFFICIENT_BALANCE")
    failed = (await ask(sim, invoice, "c", amount=50_000)).json()
    assert (failed["status"], failed["failure_code"]) == ("FAILED", "INSUFFICIENT_BALANCE")
    await sim.faults()
    assert (await ask(sim, invoice, "d", amount=50_000)).json()["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"invoice_id": "x"}, (404, "DATA_NOT_FOUND")),
        ({"currency": "USD"}, (400, "CURRENCY_NOT_SUPPORTED")),
        ({"reason": "WHIM"}, (400, "API_VALIDATION_ERROR")),
        ({"amount": 0}, (400, "API_VALIDATION_ERROR")),
        ({"amount": "1"}, (400, "API_VALIDATION_ERROR")),
        ({"currency": None}, (400, "API_VALIDATION_ERROR")),
    ],
)
async def test_what_can_not_be_refunded_is_refused(sim: Sim, fields: dict[str, Any], expected: tuple[int, str]) -> None:
    assert refusal(await ask(sim, await paid(sim), **fields)) == expected


async def test_an_unpaid_invoice_and_a_channel_without_refunds_are_refused(sim: Sim) -> None:
    assert refusal(await ask(sim, await sim.create())) == (400, "INELIGIBLE_TRANSACTION")
    await sim.faults(refunds_supported=False)
    assert refusal(await ask(sim, await paid(sim))) == (400, "REFUND_NOT_SUPPORTED")


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED"])
async def test_a_pending_refund_ends_when_it_is_told_to_and_once(sim: Sim, status: str) -> None:
    await sim.faults(refund_outcome="PENDING")
    made = (await ask(sim, await paid(sim))).json()
    assert made["status"] == "PENDING"
    assert sim.merchant.callbacks == []
    url = f"/_sim/refunds/{made['id']}"
    assert (await sim.http.post(f"{url}/resend")).status_code == 409
    assert (await sim.http.post(f"{url}/end", json={"status": status})).json()["status"] == status
    assert (await sim.http.post(f"{url}/end", json={"status": status})).status_code == 409
    (await sim.http.post(f"{url}/resend", json={"times": 2})).raise_for_status()
    told = await sim.merchant.got(3)
    assert {callback.body["event"] for callback in told} == {f"refund.{status.lower()}"}
    assert (await sim.http.post("/_sim/refunds/x/end")).status_code == 404


async def test_a_refund_that_fails_after_its_commit_exists(sim: Sim) -> None:
    invoice = await paid(sim)
    await sim.faults(refund_fails_after_commit=1, refund_status={"status": 503, "times": 1})
    assert [(await ask(sim, invoice)).status_code for _ in range(3)] == [503, 500, 200]
    assert len((await sim.http.get("/_sim/refunds")).json()) == 1


async def test_callbacks_of_refunds_are_lost_and_doubled_like_others(sim: Sim) -> None:
    invoice = await paid(sim)
    await sim.faults(drop_webhooks=1)
    await ask(sim, invoice, "a", amount=1)
    await sim.faults(duplicate_webhooks=1)
    await ask(sim, invoice, "b", amount=1)
    await sim.merchant.got(2)
    assert await sim.settled() == {"delivered": 2, "dropped": 1}
    # The invoice's own callback is what is sent again for an invoice.
    await sim.act(invoice, "resend")
    assert (await sim.merchant.got(3))[2].body["id"] == invoice["id"]
