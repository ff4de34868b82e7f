"""The auditor's three ways to read the invoices of an order behave alike: the public API, the simulator, the fake."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest

from fc.audit.model import Invoice
from fc.audit.reading.xendit import Gateway, XenditApi, XenditSimulator
from fc.audit.watch import Unwatched
from testkit.xendit_account import AMOUNT, KEY, Listed, SimulatorAccount, simulator
from testkit.xendit_conformance import InvoiceListSuite

from ..world import FakeXendit


async def listed(gateway: Gateway, order_id: int) -> list[Listed]:
    await gateway.prepare(Unwatched())
    return [
        Listed(invoice.id, invoice.status, invoice.amount, invoice.currency, invoice.paid_amount)
        for invoice in await gateway.find([order_id])
    ]


class FakeAccount:
    """The fake for the tests of rules; it holds the invoices that a test adds."""

    def __init__(self) -> None:
        self.gateway = FakeXendit()

    async def make(self, order_id: int, amount: Decimal = AMOUNT) -> str:
        now = datetime.now(UTC)
        invoice = Invoice(
            order_id, uuid4().hex[:24], "PENDING", amount, "IDR", paid_amount=None, payments=0, created=now, updated=now
        )
        self.gateway.held.append(invoice)
        return invoice.id

    async def pay(self, invoice_id: str, amount: Decimal | None = None) -> None:
        self._change(
            invoice_id, lambda each: replace(each, status="PAID", paid_amount=amount or each.amount, payments=1)
        )

    async def expire(self, invoice_id: str) -> None:
        self._change(invoice_id, lambda each: replace(each, status="EXPIRED"))

    def _change(self, invoice_id: str, change: Callable[[Invoice], Invoice]) -> None:
        self.gateway.held = [change(each) if each.id == invoice_id else each for each in self.gateway.held]

    async def listed(self, order_id: int) -> list[Listed]:
        return await listed(self.gateway, order_id)


class ReaderOfSimulator(SimulatorAccount):
    """The simulator, read by one of the auditor's gateways, which is opened for each list."""

    def __init__(self, url: str, open_gateway: Callable[[str], Gateway]) -> None:
        super().__init__(url)
        self._open_gateway = open_gateway

    async def listed(self, order_id: int) -> list[Listed]:
        gateway = self._open_gateway(self.url)
        try:
            return await listed(gateway, order_id)
        finally:
            await gateway.close()


class TestFake(InvoiceListSuite):
    @pytest.fixture
    def account(self) -> FakeAccount:
        return FakeAccount()


def public_api(url: str) -> Gateway:
    return XenditApi(url, KEY)


@pytest.mark.parametrize("open_gateway", [public_api, XenditSimulator])
class TestSimulator(InvoiceListSuite):
    @pytest.fixture
    async def account(self, open_gateway: Callable[[str], Gateway]) -> AsyncIterator[ReaderOfSimulator]:
        async with simulator() as url:
            account = ReaderOfSimulator(url, open_gateway)
            yield account
            await account.close()
