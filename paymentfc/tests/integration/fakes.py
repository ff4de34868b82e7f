"""What stands where Xendit and userfc would be: the clients' own classes, answering from memory."""

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
from paymentfc.model.invoices import Invoice


class FakeXendit(Xendit):
    """Keeps invoices in memory. `instead` replaces calls by name.

    `faults` are taken one per call: down, busy, refuse, commit_then_fail, wrong_amount.
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
        """Give the invoices of an order that can be paid."""
        return [i for i in self.invoices.values() if i.external_id == external_id and i.status == "PENDING"]

    def put(self, external_id: str, amount: Decimal, status: str = "PENDING", **fields: Any) -> Invoice:
        """Make an invoice behind the service's back."""
        now = datetime.now(UTC)
        number = uuid4().hex[:24]
        made = Invoice(number, external_id, status, amount, "IDR", None, f"https://pay/{number}",
                       now + timedelta(days=1), now)  # fmt: skip
        self.invoices[number] = replace(made, **fields)
        return self.invoices[number]

    def change(self, invoice_id: str | None, **fields: Any) -> None:
        """Change an invoice, for example to PAID."""
        self.invoices[invoice_id or ""] = replace(self.invoices[invoice_id or ""], **fields)

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
        made = self.put(draft.external_id, amount)
        if self.on_create:
            await self.on_create(made)
        if fault == "commit_then_fail":
            raise GatewayUnavailable("timed out")
        return made

    async def find(self, external_id: str) -> list[Invoice]:
        self._fault("find")
        return [i for i in reversed(self.invoices.values()) if i.external_id == external_id]

    async def get(self, invoice_id: str) -> Invoice:
        if instead := self.instead.get("get"):
            return await instead(invoice_id)
        self._fault("get")
        if invoice_id not in self.invoices:
            raise Refused(404, "INVOICE_NOT_FOUND_ERROR", "no such invoice")
        return self.invoices[invoice_id]

    async def expire(self, invoice_id: str) -> Invoice:
        if instead := self.instead.get("expire"):
            return await instead(invoice_id)
        self._fault("expire")
        if self.invoices[invoice_id].status != "PENDING":
            raise Refused(404, "INVOICE_NOT_FOUND_ERROR", "not pending")
        self.change(invoice_id, status="EXPIRED")
        return self.invoices[invoice_id]


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
