"""The simulator and the fake behave alike at paymentfc's gateway."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from paymentfc.client.xendit import Xendit
from testkit.xendit_account import AMOUNT, KEY, Call, Fault, Listed, SimulatorAccount, simulator
from testkit.xendit_conformance import GatewaySuite

from .fakes import FakeXendit


async def listed(gateway: Xendit, order_id: int) -> list[Listed]:
    return [
        Listed(invoice.id, invoice.status, invoice.amount, invoice.currency, invoice.paid_amount)
        for invoice in await gateway.find(f"order-{order_id}")
    ]


class FakeAccount:
    """The fake that stands in for the gateway."""

    def __init__(self) -> None:
        self.gateway = FakeXendit()

    async def make(self, order_id: int, amount: Decimal = AMOUNT) -> str:
        return self.gateway.put(f"order-{order_id}", amount).id

    async def pay(self, invoice_id: str, amount: Decimal | None = None) -> None:
        paid = self.gateway.invoices[invoice_id].amount if amount is None else amount
        receipt = self.gateway.invoices[invoice_id].receipt or f"va_{invoice_id}"
        self.gateway.change(invoice_id, status="PAID", paid_amount=paid, receipt=receipt)

    async def expire(self, invoice_id: str) -> None:
        self.gateway.change(invoice_id, status="EXPIRED")

    async def pay_late(self, invoice_id: str) -> None:
        self.gateway.change(invoice_id, paid_amount=self.gateway.invoices[invoice_id].amount)

    async def listed(self, order_id: int) -> list[Listed]:
        return await listed(self.gateway, order_id)

    async def fail_next(self, call: Call, fault: Fault) -> None:
        faults = {
            "refused": "refuse",
            "busy": "busy",
            "unavailable": "down",
            "unavailable_after_commit": "commit_then_fail",
        }
        self.gateway.faults.append(faults[fault])


class GatewayOfSimulator(SimulatorAccount):
    """The gateway itself, connected to the simulator."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.gateway = Xendit(url, KEY, allow_http=True)

    async def listed(self, order_id: int) -> list[Listed]:
        return await listed(self.gateway, order_id)

    async def close(self) -> None:
        await self.gateway.close()
        await super().close()


class TestFake(GatewaySuite):
    @pytest.fixture
    def account(self) -> FakeAccount:
        return FakeAccount()


class TestSimulator(GatewaySuite):
    @pytest.fixture
    async def account(self) -> AsyncIterator[GatewayOfSimulator]:
        async with simulator() as url:
            account = GatewayOfSimulator(url)
            yield account
            await account.close()
