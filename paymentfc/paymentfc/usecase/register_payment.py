"""order.created: stores the PENDING payment and the request for its invoice, then wakes the loop that makes it."""

import asyncio

import structlog

from chassis.db.database import Database, Tx
from chassis.db.inbox import first_time
from chassis.errors import Invalid, InvalidMessage
from chassis.events import Event, Message
from chassis.money import check_amount
from paymentfc.config import Settings
from paymentfc.events import OrderCreated
from paymentfc.model.callback import Outcome
from paymentfc.model.payment import Payment, Reason, Status, external_id
from paymentfc.repository import anomalies, audit, callbacks, payments, requests
from paymentfc.repository.audit import AuditEvent
from paymentfc.service.settlement import close, settle

log = structlog.get_logger(__name__)

ACTOR = "order.created"


class RegisterPayment:
    """The consumer's action; `wake` is the hint to the invoice loop, not used in batch mode."""

    def __init__(self, db: Database, settings: Settings, wake: asyncio.Event) -> None:
        self._db = db
        self._currency = settings.currency
        self._wake = None if settings.disable_create_invoice_directly else wake

    async def __call__(self, order: OrderCreated, message: Message) -> None:
        """Apply the event once. Raises InvalidMessage for an amount that can't be invoiced."""
        self._check(order)
        async with self._db.transaction() as tx:
            if not await first_time(tx, "paymentfc", message):
                return
            if await payments.lock_order(tx, external_id(order.order_id)):
                return
            payment = await payments.add(tx, order, self._currency, message.headers.get("traceparent"))
            if payment is None:
                return
            await audit.add(tx, AuditEvent.PAYMENT_CREATED, payment, ACTOR, amount=payment.amount)
            events = await self._catch_up(tx, payment)
            await tx.publish(*events)
        if self._wake is not None:
            self._wake.set()
        log.info("payment registered", order_id=order.order_id)

    def _check(self, order: OrderCreated) -> None:
        if (order.currency or self._currency) != self._currency:
            raise InvalidMessage("unsupported_currency", f"currency {order.currency} is not {self._currency}")
        if order.total_amount <= 0:
            raise InvalidMessage("invalid_payload", "total_amount must be more than 0")
        try:
            check_amount(order.total_amount, self._currency)
        except Invalid as error:
            raise InvalidMessage("invalid_payload", f"total_amount: {error.message}") from error

    async def _catch_up(self, tx: Tx, payment: Payment) -> list[Event]:
        """Apply what came before the order did: a rejection, callbacks; ask for an invoice if it is still wanted."""
        events: list[Event] = []
        if await payments.was_rejected(tx, payment.order_id):
            events += await close(tx, payment, Status.FAILED, Reason.STOCK_REJECTED, ACTOR)
        current: Payment | None = await payments.lock_order(tx, payment.external_id)
        for stored in await callbacks.waiting(tx, payment.external_id):
            if current is None:
                break
            settled = await settle(tx, current, stored.callback, ACTOR)
            await callbacks.settle(tx, stored, settled.outcome)
            applied = settled.outcome is not Outcome.ANOMALY
            await anomalies.attach(tx, payment, stored.callback.invoice_id, resolved=applied)
            events += settled.events
            current = await payments.lock_order(tx, payment.external_id)
        if current is not None and current.is_open:
            await requests.add(tx, payment.id, payment.order_id)
        return events
