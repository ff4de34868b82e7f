"""Ways to spoil a sound order: in its record before it is stored, or in the stores after."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from chassis.ids import uuid7

from .pieces import TOTAL, Sample, anomaly_of, callback_of, invoice_of
from .world import World

Shape = Callable[[Sample], object]
Spoil = Callable[[World, Sample], Awaitable[object]]


@dataclass(frozen=True)
class Plant:
    """A fault of the order of an ending: `shape` changes the sample before it is stored, `spoil` the stores after."""

    codes: tuple[str, ...]
    ending: str
    shape: Shape | None = None
    spoil: Spoil | None = None


def sql(service: str, statement: str, *values: Any) -> Spoil:
    """Run a statement about the order; $1 is its id."""

    async def run(world: World, made: Sample) -> None:
        await world.sql(service, statement, made.order_id, *values)

    return run


def payment(statement: str) -> Spoil:
    return sql("paymentfc", f"UPDATE payments SET {statement} WHERE order_id = $1")


def ledger(statement: str) -> Spoil:
    return sql("productfc", f"UPDATE stock_ledger SET {statement} WHERE order_id = $1")


def order(statement: str) -> Spoil:
    return sql("orderfc", f"UPDATE orders SET {statement} WHERE id = $1")


def drop(service: str, topic: str) -> Spoil:
    return sql(service, f"DELETE FROM outbox WHERE key = 'order-' || $1::bigint AND topic = '{topic}'")


def without(service: str, table: str) -> Shape:
    return lambda made: made.of(service, table).clear()


def again(topic: str) -> Shape:
    return lambda made: made.publish(topic, 9, **_payload(made, topic))


def _payload(made: Sample, topic: str) -> dict[str, Any]:
    return {name: value for name, value in json.loads(made.event(topic)["payload"]).items() if name != "order_id"}


def says(topic: str, **changes: Any) -> Shape:
    """Have an event say something else."""

    def shape(made: Sample) -> None:
        event = made.event(topic)
        event["payload"] = json.dumps(json.loads(event["payload"]) | changes)

    return shape


def last_step(**changes: Any) -> Shape:
    """Have the order's history end otherwise; once written it can't be changed."""

    def shape(made: Sample) -> None:
        made.of("orderfc", "order_history")[-1] |= changes

    return shape


def seen(**changes: Any) -> Shape:
    """Have Xendit say something else of the invoice."""

    def shape(made: Sample) -> None:
        made.invoices[:] = [replace(invoice, **changes) for invoice in made.invoices]

    return shape


def twin(status: str) -> Shape:
    """Let Xendit have a second invoice."""
    return lambda made: made.invoices.append(invoice_of(made, status, "twin", payments=int(status == "PAID")))


def park(topic: str, *, recorded: bool) -> Shape:
    """Have an event parked, with or without its row in failed_events."""

    def shape(made: Sample) -> None:
        event = made.event(topic)
        event |= {"published_at": None, "parked_at": made.at + timedelta(minutes=9)}
        made.documents[:] = [each for each in made.documents if each["event"] != "event.published"]
        made.of("orderfc", "inbox").clear()
        if recorded:
            made.add(
                "paymentfc",
                "failed_events",
                event_id=event["event_id"],
                topic=topic,
                key=event["key"],
                payload=event["payload"],
                attempts=12,
            )

    return shape


def published_before_written(made: Sample) -> None:
    event = made.event("stock.updated")
    event["published_at"] = event["created_at"] - timedelta(seconds=1)


def never_sent(made: Sample) -> None:
    made.off_topic.add(made.event("order.created")["event_id"])


def sent_under_another_key(made: Sample) -> None:
    made.sent_keys[made.event("order.created")["event_id"]] = "order-1"


def written_again(event: str) -> Shape:
    """Log a step of a payment twice."""

    def shape(made: Sample) -> None:
        [found] = [each for each in made.documents if each["event"] == event]
        made.documents.append(found | {"event_id": str(uuid7())})

    return shape


def undelivered(made: Sample) -> None:
    entry = next(each for each in made.documents if each["event"] == "payment.created")
    made.documents.remove(entry)
    made.add(
        "paymentfc",
        "audit_outbox",
        event_id=entry["event_id"],
        order_id=made.order_id,
        event=entry["event"],
        actor="test",
        metadata="{}",
        create_time=entry["create_time"],
    )


def same_id_in_another_outbox(made: Sample) -> None:
    made.event("stock.rejected").update(event_id=made.event("order.created")["event_id"], published_at=None)


def unresolved(made: Sample) -> None:
    made.of("paymentfc", "payment_anomalies")[0]["resolved_at"] = None


def refused_callback(made: Sample) -> None:
    made.add("paymentfc", "payment_callbacks", **callback_of(made, "anomaly"))


def forgotten_callback(made: Sample) -> None:
    made.add("paymentfc", "payment_callbacks", **callback_of(made, "waiting"))
    made.add("paymentfc", "payment_anomalies", **anomaly_of(made, "unknown_invoice"))
    made.audit("payment.anomaly", 3)


def named_payments(made: Sample) -> None:
    """Have callbacks name two payments of an invoice of which one is on record."""
    for receipt in ("va_1", "va_2"):
        made.add(
            "paymentfc",
            "payment_receipts",
            invoice_id=made.invoice_id,
            external_id=f"order-{made.order_id}",
            receipt=receipt,
            amount="150000",
            currency="IDR",
            create_time=made.at + timedelta(seconds=3),
        )


def wrong_amount(made: Sample) -> None:
    """Let an order hold its stock after its end, though money of a wrong amount came."""
    made.add("paymentfc", "payment_anomalies", **anomaly_of(made, "amount_mismatch"))
    made.audit("payment.anomaly", 3)


def unconfirmed_callback(made: Sample) -> None:
    made.add("paymentfc", "payment_callbacks", **callback_of(made, "confirming"))


def neglected_callback(made: Sample) -> None:
    unconfirmed_callback(made)
    made.add(
        "paymentfc",
        "payment_confirmations",
        invoice_id=made.invoice_id,
        external_id=f"order-{made.order_id}",
        due_at=made.at - timedelta(days=1),
    )


def look_again_tomorrow(made: Sample) -> None:
    made.of("paymentfc", "invoice_closings")[0] |= {
        "step": "look_again",
        "done_at": None,
        "due_at": made.at + timedelta(days=30),
    }
    seen(payments=1, paid_amount=TOTAL)(made)


def lost_payment(made: Sample) -> None:
    """Leave nothing of an order in paymentfc and in the places that tell of it."""
    for table in ("payments", "payment_requests"):
        made.of("paymentfc", table).clear()
    made.documents.clear()
    made.invoices.clear()


def lost_order(made: Sample) -> None:
    """Leave nothing of an order in orderfc and productfc."""
    for table in list(made.rows):
        if table[0] in ("orderfc", "productfc") or table[1] == "inbox":
            made.rows[table].clear()


def only_ledger(made: Sample) -> None:
    lost_payment(made)
    for table in list(made.rows):
        if table != ("productfc", "stock_ledger"):
            made.rows[table].clear()


def only_invoice(made: Sample) -> None:
    made.rows.clear()
    made.documents.clear()


def no_anomaly(made: Sample) -> None:
    without("paymentfc", "payment_anomalies")(made)
    made.documents[:] = [each for each in made.documents if each["event"] != "payment.anomaly"]
