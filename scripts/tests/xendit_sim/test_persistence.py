"""With a file, a restart loses nothing: invoices, deliveries and pending webhooks."""

import sqlite3
from pathlib import Path

from testkit import eventually

from .conftest import Merchant, Sleep, simulated


async def test_invoices_payments_and_deliveries_are_there_after_a_restart(merchant: Merchant, tmp_path: Path) -> None:
    data = str(tmp_path / "sim.sqlite")
    async with simulated(merchant, data=data) as sim:
        paid, expired = await sim.create(metadata={"a": "é"}), await sim.create(external_id="order-8", amount=9)
        await sim.act(paid, "pay", amount=7, times=2)
        await sim.act(expired, "expire")
        await sim.settled()
        invoices = (await sim.http.get("/_sim/invoices")).json()
        deliveries = (await sim.http.get("/_sim/deliveries")).json()
    async with simulated(merchant, data=data) as again:
        assert (await again.http.get("/_sim/invoices")).json() == invoices
        assert (await again.http.get("/_sim/deliveries")).json() == deliveries
        assert (await again.http.get("/_sim/stats")).json()["webhooks"] == {"delivered": 3}
        newest = await again.create()
        assert (await again.http.get("/v2/invoices")).json()[0] == newest
    assert len(merchant.callbacks) == 3


async def test_a_webhook_goes_on_after_a_restart_with_its_id_and_the_tries_that_are_left(
    merchant: Merchant, tmp_path: Path
) -> None:
    data = str(tmp_path / "sim.sqlite")
    merchant.answers.extend([500] * 9)
    async with simulated(merchant, data=data, sleep=Sleep(blocked=True)) as sim:
        await sim.act(await sim.create(), "pay")
        await sim.tries(1)
    async with simulated(merchant, data=data) as again:
        assert await again.settled() == {"failed": 1}
        assert again.sleep.slept == [2700, 7200, 10800, 21600, 43200]
    assert len(merchant.callbacks) == 7
    assert len({callback.headers["webhook-id"] for callback in merchant.callbacks}) == 1


async def test_a_webhook_that_was_never_tried_is_sent_after_a_restart(merchant: Merchant, tmp_path: Path) -> None:
    data = str(tmp_path / "sim.sqlite")
    async with simulated(merchant, data=data) as sim:
        await sim.faults(reorder_webhooks=True)
        await sim.act(await sim.create(), "pay")
    assert merchant.callbacks == []
    async with simulated(merchant, data=data) as again:
        assert await again.settled() == {"delivered": 1}
    assert merchant.statuses() == ["PAID"]


async def test_an_invoice_whose_time_passed_while_nothing_ran_expires_at_the_start(
    merchant: Merchant, tmp_path: Path
) -> None:
    data = str(tmp_path / "sim.sqlite")
    async with simulated(merchant, data=data) as sim:
        await sim.create(invoice_duration=60)
        clock = sim.clock
    clock.advance(61)
    async with simulated(merchant, data=data, clock=clock):
        await eventually(lambda: merchant.statuses() == ["EXPIRED"])


async def test_a_reset_empties_the_file(merchant: Merchant, tmp_path: Path) -> None:
    data = tmp_path / "sim.sqlite"
    async with simulated(merchant, data=str(data)) as sim:
        await sim.act(await sim.create(), "pay")
        await sim.settled()
        await sim.http.post("/_sim/reset")
    database = sqlite3.connect(data)
    try:
        for table in ("invoices", "webhooks", "deliveries"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    finally:
        database.close()


async def test_without_a_file_nothing_is_kept(merchant: Merchant) -> None:
    async with simulated(merchant) as sim:
        await sim.create()
    async with simulated(merchant) as again:
        assert (await again.http.get("/_sim/invoices")).json() == []
