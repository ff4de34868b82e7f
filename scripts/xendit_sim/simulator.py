"""The changes of an invoice: created, paid, paid late, settled, expired, each with its callback."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

from xendit_sim.config import Settings
from xendit_sim.errors import ApiError, UnknownInvoice, WrongState
from xendit_sim.faults import Faults
from xendit_sim.model import Clock, Invoice, Number, Payment, Status, new_id, stamp, utc_now
from xendit_sim.rates import Rates
from xendit_sim.store import Store, Webhook
from xendit_sim.validation import Draft
from xendit_sim.webhooks import Sleep, Webhooks, new_webhook_id

EXPIRY_CHECK_S = 0.2


class Simulator:
    """One account at Xendit: its invoices, its webhooks, and the switches of its faults."""

    def __init__(self, settings: Settings, *, clock: Clock = utc_now, sleep: Sleep = asyncio.sleep) -> None:
        self.settings = settings
        self.faults = Faults()
        self.store = Store(settings.data)
        self.requests: Counter[str] = Counter()
        self.rates = Rates(clock)
        self.clock = clock
        self.webhooks = Webhooks(settings, self.store, lambda: self.faults, clock, sleep)

    def create(self, draft: Draft) -> Invoice:
        """Create an invoice; the external id need not be unique. Raises ApiError for amounts outside the set limits."""
        faults = self.faults
        if faults.min_amount is not None and draft.amount < faults.min_amount:
            raise ApiError(400, "MINIMAL_TRANSFER_AMOUNT_ERROR", f"The minimum amount is {faults.min_amount:g}")
        if faults.max_amount is not None and draft.amount > faults.max_amount:
            raise ApiError(400, "MAXIMUM_TRANSFER_AMOUNT_ERROR", f"The maximum amount is {faults.max_amount:g}")
        now = self.clock()
        invoice_id = new_id(now)
        invoice = Invoice(
            id=invoice_id,
            external_id=draft.external_id,
            amount=draft.amount,
            currency=draft.currency,
            status=Status.PENDING,
            created=stamp(now),
            updated=stamp(now),
            expiry_date=stamp(now + timedelta(seconds=draft.duration_s)),
            invoice_url=f"{self.settings.public_url}/web/{invoice_id}",
            given=draft.given,
        )
        self.store.save(invoice)
        return invoice

    def get(self, invoice_id: str) -> Invoice:
        """Read an invoice, expired if its time is over. Raises UnknownInvoice."""
        self.expire_due()
        if invoice := self.store.get(invoice_id):
            return invoice
        raise UnknownInvoice(invoice_id)

    def expire_due(self) -> int:
        """Expire invoices whose duration is over; their expiry date stays. Returns their number."""
        due = self.store.due(self.clock())
        for invoice in due:
            self._expire(invoice)
        return len(due)

    def expire(self, invoice_id: str) -> Invoice:
        """Expire a PENDING invoice now, which moves its expiry date. Raises UnknownInvoice, WrongState."""
        invoice = self.get(invoice_id)
        if invoice.status is not Status.PENDING:
            raise WrongState(f"the invoice is {invoice.status}")
        return self._expire(replace(invoice, expiry_date=stamp(self.clock())))

    def _expire(self, invoice: Invoice) -> Invoice:
        invoice = replace(invoice, status=Status.EXPIRED, updated=stamp(self.clock()))
        self.store.save(invoice)
        if self.faults.expired_webhooks:
            self.webhooks.announce(invoice, Status.EXPIRED)
        return invoice

    def pay(
        self,
        invoice_id: str,
        *,
        amount: Number | None = None,
        currency: str | None = None,
        times: int = 1,
        after_expiry: bool = False,
    ) -> tuple[Invoice, list[asyncio.Event]]:
        """Add `times` payments, each with a callback. Its event is set after the first attempt.

        Raises UnknownInvoice; WrongState for an expired invoice unless `after_expiry`.
        """
        invoice = self.get(invoice_id)
        if invoice.status is Status.EXPIRED and not after_expiry:
            raise WrongState("the invoice is EXPIRED; money that comes all the same needs after_expiry")
        tried = list[asyncio.Event]()
        for _ in range(times):
            now = stamp(self.clock())
            payment = Payment(invoice.amount if amount is None else amount, currency or invoice.currency, now)
            status: Status = Status.PAID if invoice.status is Status.PENDING else invoice.status
            if status is Status.EXPIRED:
                status = Status(self.faults.late_payment_status)
            invoice = replace(invoice, status=status, updated=now, payments=[*invoice.payments, payment])
            self.store.save(invoice)
            tried.append(self.webhooks.announce(invoice, Status.PAID, payment))
        return invoice, tried

    def settle(self, invoice_id: str) -> Invoice:
        """Mark a PAID invoice SETTLED, without a callback. Raises UnknownInvoice, WrongState."""
        invoice = self.get(invoice_id)
        if invoice.status is not Status.PAID:
            raise WrongState(f"the invoice is {invoice.status}")
        invoice = replace(invoice, status=Status.SETTLED, updated=stamp(self.clock()))
        self.store.save(invoice)
        return invoice

    def resend(self, invoice_id: str, *, times: int, status: Status | None = None, parallel: bool = False) -> Webhook:
        """Deliver the invoice's last webhook (of a status) again. Raises UnknownInvoice; WrongState without one."""
        invoice = self.get(invoice_id)
        sent = [item for item in self.store.webhooks(invoice.id) if item.refund_id is None]
        made = [item for item in sent if status is None or item.status == status]
        if made:
            webhook = made[-1]
        elif invoice.status is Status.EXPIRED and status in (None, Status.EXPIRED):
            body = invoice.webhook(Status.EXPIRED, None)
            webhook = Webhook(new_webhook_id(), invoice.id, invoice.external_id, "EXPIRED", body, state="dropped")
            self.store.save_webhook(webhook)
        else:
            raise WrongState("the invoice has no such webhook yet")
        self.webhooks.resend(webhook, times, parallel=parallel)
        return webhook

    def set_faults(self, faults: Faults) -> None:
        """Replace all switches. A new rate limit counts from now; a held back webhook is sent."""
        if faults.rate_limit != self.faults.rate_limit:
            self.rates.clear()
        self.faults = faults
        if not faults.reorder_webhooks:
            self.webhooks.release()

    async def reset(self) -> None:
        """Delete invoices and webhooks; reset counts and switches."""
        await self.webhooks.stop()
        self.faults = Faults()
        self.rates.clear()
        self.requests.clear()
        self.store.clear()

    async def run_expiry(self) -> None:
        """Expire invoices when their time is over, until cancelled."""
        while True:
            self.expire_due()
            await asyncio.sleep(EXPIRY_CHECK_S)

    async def close(self) -> None:
        """Stop deliveries and close the file."""
        await self.webhooks.close()
        self.store.close()
