"""Fakes of Xendit and userfc: the clients' own classes, which answer from memory."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from chassis.errors import NotFound, Unavailable
from chassis.grpc.users import User, UserClient
from paymentfc.client.xendit import Draft, Xendit
from paymentfc.errors import GatewayBusy, GatewayUnavailable, Refused
from paymentfc.model.callback import PAID_WORDS, Callback
from paymentfc.model.invoices import Invoice

LISTED = 100
MAX_EXTERNAL_ID = 255
CURRENCIES = ("IDR", "USD", "THB", "VND", "PHP", "MYR")


class FakeXendit(Xendit):
    """Keeps invoices in memory and behaves as `testkit.xendit_conformance` says. `instead` replaces calls by name.

    Each call takes one of `faults`: down, busy, refuse, commit_then_fail, wrong_amount.
    """

    def __init__(self) -> None:
        self.invoices: dict[str, Invoice] = {}
        self.faults: list[str] = []
        self.calls: list[str] = []
        self.drafts: list[Draft] = []
        self.before_create: Callable[[], Awaitable[object]] | None = None
        self.on_create: Callable[[Invoice], Awaitable[object]] | None = None
        self.instead: dict[str, Callable[[Any], Awaitable[Invoice]]] = {}

    def live(self, external_id: str) -> list[Invoice]:
        """Return the invoices of an order that can be paid."""
        return [i for i in self.invoices.values() if i.external_id == external_id and i.status == "PENDING"]

    def put(self, external_id: str, amount: Decimal, status: str = "PENDING", **fields: Any) -> Invoice:
        """Add an invoice that paymentfc has not created."""
        now = datetime.now(UTC)
        invoice = Invoice(
            id=uuid4().hex[:24],
            external_id=external_id,
            status=status,
            amount=amount,
            currency="IDR",
            expiry_date=now + timedelta(days=1),
            created=now,
        )
        invoice = replace(invoice, **{"invoice_url": f"https://pay/{invoice.id}", **fields})
        self.invoices[invoice.id] = invoice
        return invoice

    def change(self, invoice_id: str | None, **fields: Any) -> None:
        """Change an invoice, for example to PAID."""
        self.invoices[invoice_id or ""] = replace(self.invoices[invoice_id or ""], **fields)

    def agree(self, callback: Callback) -> None:
        """Show what a callback says about an invoice, as Xendit does before it sends one."""
        known = self.invoices.get(callback.invoice_id)
        invoice = known or self.put(callback.external_id, callback.amount, id=callback.invoice_id)
        paid = callback.judged_amount if callback.says_paid else invoice.paid_amount
        late = callback.says_paid and invoice.status == "EXPIRED"
        status = invoice.status if invoice.status in PAID_WORDS or late else callback.status
        receipt = invoice.receipt or callback.receipt
        currency = callback.currency or invoice.currency
        self.change(invoice.id, status=status, paid_amount=paid, receipt=receipt, currency=currency)

    def _fault(self, call: str) -> str:
        self.calls.append(call)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "down":
            raise GatewayUnavailable("down")
        if fault == "busy":
            raise GatewayBusy("429")
        if fault == "refuse":
            raise Refused(400, "API_VALIDATION_ERROR", "no")
        return fault

    async def create(self, draft: Draft) -> Invoice:
        if instead := self.instead.get("create"):
            return await instead(draft)
        fault = self._fault("create")
        self.drafts.append(draft)
        if hook := self.before_create:
            self.before_create = None
            await hook()
        amount = draft.amount + 1 if fault == "wrong_amount" else draft.amount
        _check(draft)
        created = datetime.now(UTC)
        made = self.put(
            draft.external_id,
            amount,
            currency=draft.currency,
            created=created,
            expiry_date=created + timedelta(seconds=draft.duration_s),
        )
        if self.on_create:
            await self.on_create(made)
        if fault == "commit_then_fail":
            raise GatewayUnavailable("timed out")
        return made

    async def find(self, external_id: str) -> list[Invoice]:
        self._fault("find")
        self._expire_due()
        return [i for i in reversed(self.invoices.values()) if i.external_id == external_id][:LISTED]

    async def get(self, invoice_id: str) -> Invoice:
        if instead := self.instead.get("get"):
            return await instead(invoice_id)
        self._fault("get")
        self._expire_due()
        if invoice_id not in self.invoices:
            raise Refused(404, "INVOICE_NOT_FOUND_ERROR", "no such invoice")
        return self.invoices[invoice_id]

    async def expire(self, invoice_id: str) -> Invoice:
        if instead := self.instead.get("expire"):
            return await instead(invoice_id)
        self._fault("expire")
        self._expire_due()
        if invoice_id not in self.invoices or self.invoices[invoice_id].status != "PENDING":
            raise Refused(404, "INVOICE_NOT_FOUND_ERROR", "no such invoice, or not pending")
        self.change(invoice_id, status="EXPIRED", expiry_date=datetime.now(UTC))
        return self.invoices[invoice_id]

    def _expire_due(self) -> None:
        now = datetime.now(UTC)
        for invoice in list(self.invoices.values()):
            if invoice.status == "PENDING" and invoice.expiry_date and invoice.expiry_date <= now:
                self.change(invoice.id, status="EXPIRED")


def _check(draft: Draft) -> None:
    """Refuse the drafts that Xendit refuses."""
    valid = (
        draft.amount > 0
        and draft.currency in CURRENCIES
        and draft.duration_s > 0
        and 0 < len(draft.external_id) <= MAX_EXTERNAL_ID
    )
    if not valid:
        raise Refused(400, "API_VALIDATION_ERROR", "There was an error with the format submitted to the server.")


class FakeUsers(UserClient):
    """Knows every user but 404; can be away."""

    def __init__(self) -> None:
        self.away = False

    async def get_user(self, user_id: int) -> User:
        if self.away:
            raise Unavailable("userfc is not available")
        if user_id == 404:
            raise NotFound("no such user")
        return User(user_id, f"user{user_id}@example.com", "User", "user")
