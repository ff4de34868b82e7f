"""Payments closed unpaid: stock rejected, expiry, lost callbacks; late money becomes an anomaly."""

from paymentfc.errors import Refused
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import Status

from .bench import Bench

STEPS = "SELECT step FROM invoice_closings WHERE invoice_id = $1"


async def not_found_by_a_proxy(_: str) -> Invoice:
    """Fail as a proxy does that is not Xendit."""
    raise Refused(404, "UNREADABLE", "<html>404 page not found</html>")


async def test_stock_rejected_closes_the_payment_and_expires_its_invoice(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.rejected(payment.order_id)
    found = await bench.payment(payment.order_id)
    assert (found.status, found.reason) == (Status.FAILED, "stock_rejected")
    await bench.close_invoices()
    assert bench.xendit.live(payment.external_id) == []
    # The order reads stock.rejected itself.
    assert await bench.events(payment.order_id) == []
    assert (await bench.audits(payment.order_id))[-1] == "payment.failed"


async def test_stock_rejected_before_order_created_leaves_a_payment_without_invoice(bench: Bench) -> None:
    order_id = bench.new_id()
    await bench.rejected(order_id)
    payment = await bench.order(order_id)
    assert (payment.status, payment.reason) == (Status.FAILED, "stock_rejected")
    await bench.invoice()
    assert bench.xendit.calls == []


async def test_stock_rejected_before_the_invoice_was_made_makes_none(bench: Bench) -> None:
    payment = await bench.order()
    await bench.rejected(payment.order_id)
    await bench.invoice()
    assert bench.xendit.calls == []
    assert (await bench.request(payment.order_id))["status"] == "CANCELLED"


async def test_stock_rejected_while_the_invoice_is_being_made_expires_it(bench: Bench) -> None:
    async def reject() -> None:
        await bench.rejected(payment.order_id)

    payment = await bench.order()
    bench.xendit.before_create = reject
    await bench.invoice()
    await bench.close_invoices()
    assert len(bench.xendit.invoices) == 1
    assert bench.xendit.live(payment.external_id) == []


async def test_stock_rejected_after_paid_shows_the_refund_and_keeps_the_payment(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment)
    await bench.rejected(payment.order_id)
    await bench.rejected(payment.order_id)
    assert (await bench.payment(payment.order_id)).status is Status.PAID
    assert await bench.anomalies(payment.order_id) == ["paid_after_close"]
    assert len(await bench.events(payment.order_id)) == 1


async def test_an_invoice_paid_while_we_expire_it_is_a_refund(bench: Bench) -> None:
    payment = await bench.invoiced()
    bench.xendit.change(payment.invoice_id, status="PAID", paid_amount=payment.amount)
    await bench.rejected(payment.order_id)
    await bench.close_invoices()
    assert (await bench.payment(payment.order_id)).status is Status.FAILED
    assert await bench.anomalies(payment.order_id) == ["paid_after_close"]
    assert [event["topic"] for event in await bench.events(payment.order_id)] == ["payment.success"]


async def test_an_invoice_that_can_not_be_expired_now_is_expired_later(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.rejected(payment.order_id)
    bench.xendit.faults = ["down", "down"]
    await bench.close_invoices()
    assert len(bench.xendit.live(payment.external_id)) == 1
    await bench.execute("UPDATE invoice_closings SET due_at = now()")
    await bench.close_invoices()
    assert bench.xendit.live(payment.external_id) == []


async def test_money_that_came_a_day_late_is_found_by_the_second_look(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment, "EXPIRED")
    bench.xendit.change(payment.invoice_id, status="SETTLED", paid_amount=payment.amount)
    await bench.execute("UPDATE invoice_closings SET due_at = now()")
    await bench.close_invoices()
    assert await bench.anomalies(payment.order_id) == ["paid_after_close"]
    assert await bench.rows(STEPS, payment.invoice_id) == [{"step": "done"}]


async def test_the_sweep_expires_an_unpaid_invoice_there_and_here(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.sweep()
    assert (await bench.payment(payment.order_id)).status is Status.PENDING
    await bench.expire_locally(payment)
    await bench.sweep()
    await bench.sweep()
    assert (await bench.payment(payment.order_id)).status is Status.EXPIRED
    assert bench.xendit.live(payment.external_id) == []
    assert [event["status"] for event in await bench.events(payment.order_id)] == ["EXPIRED"]


async def test_the_sweep_follows_xendit_when_the_invoice_was_paid(bench: Bench) -> None:
    payment = await bench.invoiced()
    bench.xendit.change(payment.invoice_id, status="PAID", paid_amount=payment.amount)
    await bench.expire_locally(payment)
    await bench.sweep()
    assert (await bench.payment(payment.order_id)).status is Status.PAID


async def test_the_sweep_leaves_the_payment_while_xendit_can_not_be_asked(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.expire_locally(payment)
    for fault in ("down", "refuse"):
        bench.xendit.faults = [fault]
        await bench.execute("UPDATE payments SET sweep_after = NULL")
        await bench.sweep()
        assert (await bench.payment(payment.order_id)).status is Status.PENDING
    await bench.execute("UPDATE payments SET sweep_after = NULL")
    await bench.sweep()
    assert (await bench.payment(payment.order_id)).status is Status.EXPIRED


async def test_an_invoice_that_xendit_does_not_know_any_more_expires_the_payment(bench: Bench) -> None:
    payment = await bench.invoiced()
    bench.xendit.invoices.clear()
    await bench.expire_locally(payment)
    await bench.sweep()
    assert (await bench.payment(payment.order_id)).status is Status.EXPIRED


async def test_a_404_that_is_not_xendits_own_closes_no_payment(bench: Bench) -> None:
    payment = await bench.invoiced()
    bench.xendit.change(payment.invoice_id, status="PAID", paid_amount=payment.amount)
    await bench.expire_locally(payment)
    bench.xendit.instead["get"] = not_found_by_a_proxy
    await bench.sweep()
    assert (await bench.payment(payment.order_id)).status is Status.PENDING
    bench.xendit.instead.clear()
    await bench.execute("UPDATE payments SET sweep_after = NULL")
    await bench.sweep()
    assert (await bench.payment(payment.order_id)).status is Status.PAID


async def test_a_404_that_is_not_xendits_own_ends_no_closing(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.rejected(payment.order_id)
    bench.xendit.instead = {"get": not_found_by_a_proxy, "expire": not_found_by_a_proxy}
    await bench.close_invoices()
    assert await bench.rows(STEPS, payment.invoice_id) == [{"step": "expire"}]
    bench.xendit.instead.clear()
    await bench.execute("UPDATE invoice_closings SET due_at = now()")
    await bench.close_invoices()
    assert bench.xendit.live(payment.external_id) == []


async def test_an_invoice_that_is_still_open_after_it_was_expired_is_expired_again(bench: Bench) -> None:
    async def without_effect(invoice_id: str) -> Invoice:
        return bench.xendit.invoices[invoice_id]

    payment = await bench.invoiced()
    await bench.rejected(payment.order_id)
    bench.xendit.instead["expire"] = without_effect
    await bench.close_invoices()
    assert await bench.rows(STEPS, payment.invoice_id) == [{"step": "expire"}]
    bench.xendit.instead.clear()
    await bench.execute("UPDATE invoice_closings SET due_at = now()")
    await bench.close_invoices()
    assert bench.xendit.live(payment.external_id) == []


async def test_an_invoice_that_the_second_look_finds_open_is_expired_and_looked_at_once_more(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment, "EXPIRED")
    bench.xendit.change(payment.invoice_id, status="PENDING")
    for step in ("look_again", "done"):
        await bench.execute("UPDATE invoice_closings SET due_at = now()")
        await bench.close_invoices()
        assert bench.xendit.live(payment.external_id) == []
        assert await bench.rows(STEPS, payment.invoice_id) == [{"step": step}]
