"""What may be on its way is not reported, and what no message explains is."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from fc.audit.patience import Limits
from fc.audit.report import Report
from fc.platform.topics import event_identity

from .conftest import new_sample
from .pieces import Sample
from .spoil import ledger, lost_payment, order, payment, seen
from .world import World

LONG_AGO = 86_400.0


def rules_of(report: Report, made: Sample) -> set[str]:
    return {finding.rule for finding in report.findings if finding.order_id == made.order_id}


def unsent(made: Sample, topic: str) -> None:
    """Leave an event in its outbox, and its consumers as they were."""
    event = made.event(topic)
    event["published_at"] = None
    made.documents[:] = [each for each in made.documents if each["metadata"].get("event_id") != str(event["event_id"])]
    for service in ("orderfc", "productfc", "paymentfc"):
        inbox = made.of(service, "inbox")
        inbox[:] = [row for row in inbox if row["event_id"] != event_identity(event["topic"], event["event_id"])]


def not_applied(made: Sample) -> None:
    """Turn a paid order into one whose payment.success orderfc has not applied."""
    made.of("orderfc", "order_history").pop()
    made.of("orderfc", "orders")[0]["status"] = 0


async def test_an_order_whose_payment_is_paid_waits_for_an_event_that_is_not_sent_yet(bare: World) -> None:
    made = new_sample("paid")
    not_applied(made)
    unsent(made, "payment.success")
    await bare.store([made])
    report = await bare.audit(limits=Limits(stuck_s=1e6))
    assert report.findings == []
    assert report.in_flight == {"order_payment": 1}


async def test_an_order_whose_payment_is_paid_waits_for_a_message_that_is_not_consumed_yet(world: World) -> None:
    made = new_sample("paid", not_passed=True)
    not_applied(made)
    made.of("orderfc", "inbox").clear()
    await world.store([made])
    report = await world.audit()
    assert rules_of(report, made) == set()
    assert report.in_flight["order_payment"] == 1


async def test_an_order_whose_payment_is_paid_does_not_wait_for_a_dead_letter(world: World) -> None:
    made = new_sample("paid", not_passed=True)
    not_applied(made)
    made.of("orderfc", "inbox").clear()
    await world.store([made])
    headers = {
        "ce_id": str(made.event("payment.success")["event_id"]),
        "ce_source": "paymentfc",
        "x-handler": "orderfc.payment.success",
    }
    await world.send([("payment.success.dlq", b"{}", f"order-{made.order_id}".encode(), headers)])
    assert rules_of(await world.audit(), made) == {"order_payment", "dead_letter"}


async def test_without_kafka_a_message_may_be_on_its_way_only_for_as_long_as_work_may_lie(bare: World) -> None:
    made = new_sample("paid")
    not_applied(made)
    made.of("orderfc", "inbox").clear()
    await bare.store([made])
    assert rules_of(await bare.audit(limits=Limits(stuck_s=2 * LONG_AGO)), made) == set()
    assert rules_of(await bare.audit(limits=Limits(stuck_s=LONG_AGO / 2)), made) == {"order_payment"}


async def test_a_state_that_no_message_leads_to_is_reported_although_messages_are_on_their_way(bare: World) -> None:
    made = new_sample("open")
    unsent(made, "stock.updated")
    await bare.store([made])
    await order("status = 2")(bare, made)
    await bare.sql(
        "orderfc", "INSERT INTO order_history (order_id, status, cause) VALUES ($1, 2, 'paid')", made.order_id
    )
    assert "order_payment" in rules_of(await bare.audit(limits=Limits(stuck_s=1e6)), made)


async def test_within_the_grace_a_difference_between_databases_is_in_flight(bare: World) -> None:
    made = new_sample("paid", age_s=10)
    await bare.store([made])
    await ledger("state = 'RELEASED'")(bare, made)
    patient = await bare.audit(limits=Limits(grace_s=60))
    assert rules_of(patient, made) == set()
    assert patient.in_flight == {"stock_taken": 1}
    assert rules_of(await bare.audit(limits=Limits(grace_s=1)), made) == {"stock_taken"}


async def test_what_one_transaction_must_have_written_has_no_grace(bare: World) -> None:
    made = new_sample("paid", age_s=0)
    await bare.store([made])
    await order("total_qty = 4")(bare, made)
    assert rules_of(await bare.audit(limits=Limits(grace_s=1e6)), made) == {"order_quantity"}


async def test_an_order_without_a_payment_is_in_flight_until_the_grace_is_over(bare: World) -> None:
    young, old = new_sample("open", age_s=5), new_sample("open", age_s=50)
    for made in (young, old):
        lost_payment(made)
    await bare.store([young, old])
    report = await bare.audit(limits=Limits(grace_s=30))
    assert rules_of(report, young) == set()
    assert rules_of(report, old) == {"payment_missing"}


@pytest.mark.parametrize(("age_s", "found"), [(100, set()), (200, {"invoice_paid"})])
async def test_a_lost_callback_is_in_flight_until_open_invoices_are_checked(
    bare: World, age_s: float, found: set[str]
) -> None:
    made = new_sample("open", age_s=500)
    seen(status="PAID", paid_amount=Decimal(150_000), updated=datetime.now(UTC) - timedelta(seconds=age_s))(made)
    await bare.store([made])
    assert rules_of(await bare.audit(limits=Limits(grace_s=0, webhook_s=150)), made) == found


async def test_an_invoice_of_another_life_of_the_databases_is_left_alone(bare: World) -> None:
    made = new_sample("open")
    seen(status="PAID", created=made.at - timedelta(hours=1), paid_amount=Decimal(150_000))(made)
    await bare.store([made])
    await payment("invoice_id = NULL, invoice_url = NULL")(bare, made)
    await bare.sql("paymentfc", "UPDATE payment_requests SET status = 'PENDING', next_attempt_at = now()")
    assert rules_of(await bare.audit(), made) == set()
