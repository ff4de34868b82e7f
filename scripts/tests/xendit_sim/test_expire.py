"""An invoice expires by a call or by time, once, and never when it is paid."""

import pytest

from .conftest import Sim


async def expire(sim: Sim, invoice_id: str) -> tuple[int, dict[str, object]]:
    """Call expire! and return status and body."""
    answer = await sim.http.post(f"/invoices/{invoice_id}/expire!")
    return answer.status_code, answer.json()


async def test_expiring_answers_the_invoice_whose_expiry_date_is_now(sim: Sim) -> None:
    made = await sim.create()
    sim.clock.advance(10)
    status, body = await expire(sim, made["id"])
    now = "2026-03-01T09:30:10.250Z"
    assert status == 200
    assert body == made | {"status": "EXPIRED", "expiry_date": now, "updated": now}
    assert await sim.get(made) == body


@pytest.mark.parametrize("end", ["pay", "expire"])
async def test_an_invoice_that_is_not_pending_cannot_be_expired_and_stays_what_it_is(sim: Sim, end: str) -> None:
    made = await sim.create()
    await sim.act(made, end)
    before = await sim.get(made)
    status, body = await expire(sim, made["id"])
    assert status == 404
    assert body == {
        "error_code": "INVOICE_NOT_FOUND_ERROR",
        "message": f"Could not find and update PENDING invoice {made['id']}",
    }
    assert await sim.get(made) == before


async def test_expiring_an_unknown_invoice_is_404(sim: Sim) -> None:
    status, body = await expire(sim, "6748105a77f16ebe0cc583a7")
    assert status == 404
    assert body["error_code"] == "INVOICE_NOT_FOUND_ERROR"


async def test_the_path_has_no_v2(sim: Sim) -> None:
    made = await sim.create()
    assert (await sim.http.post(f"/v2/invoices/{made['id']}/expire!")).status_code == 404
    assert (await sim.get(made))["status"] == "PENDING"


async def test_an_invoice_expires_at_its_expiry_date_and_not_before(sim: Sim) -> None:
    made = await sim.create(invoice_duration=60)
    sim.clock.advance(59.999)
    assert (await sim.get(made))["status"] == "PENDING"
    sim.clock.advance(0.001)
    body = await sim.get(made)
    assert (body["status"], body["expiry_date"]) == ("EXPIRED", made["expiry_date"])


async def test_time_passing_is_seen_by_lists_payments_and_expire_too(sim: Sim) -> None:
    made = await sim.create(invoice_duration=60)
    sim.clock.advance(61)
    refused = await sim.http.post(f"/_sim/invoices/{made['id']}/pay")
    assert refused.status_code == 409
    assert (await expire(sim, made["id"]))[0] == 404
    assert (await sim.http.get("/v2/invoices", params={"statuses": "PENDING"})).json() == []


async def test_expiry_by_time_is_told_by_itself(sim: Sim) -> None:
    made = await sim.create(invoice_duration=60)
    sim.clock.advance(61)
    (callback,) = await sim.merchant.got(1)
    assert (callback.status, callback.body["id"]) == ("EXPIRED", made["id"])
    await sim.settled()
    assert len(sim.merchant.callbacks) == 1


async def test_a_paid_invoice_never_expires(sim: Sim) -> None:
    made = await sim.create(invoice_duration=60)
    await sim.act(made, "pay")
    sim.clock.advance(61)
    assert (await sim.get(made))["status"] == "PAID"
    await sim.settled()
    assert sim.merchant.statuses() == ["PAID"]
