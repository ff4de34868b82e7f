"""The stack that faults are injected into, a proxy before each of its parts, and the final check of all invariants."""

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from fc.audit.report import Report
from fc.audit.rules.rule import Level
from fc.audit.run import run_audit
from fc.demo.shop import Customer, Shop, poll
from fc.platform.sources import Sources
from fc.stack.local import Stack
from tests.chaos.kit.invariants import Invariants, order_goes_through
from tests.chaos.kit.network import Network
from tests.kit import processes
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus
from tests.kit.processes import Environment, ServiceProcess

QUIET_S = 90


class Arena:
    """A seeded stack, its network, and two customers."""

    def __init__(self, stack: Stack, network: Network, client: httpx2.AsyncClient, shop: Shop, bus: Bus) -> None:
        self.stack = stack
        self.network = network
        self.client = client
        self.shop = shop
        self.bus = bus
        self.back_office = BackOffice(stack, shop, client)
        self.alice: Customer
        self.bob: Customer
        self._invariants = Invariants(stack)
        self._healed: float | None = None
        # Of the last fault, once `exact` has measured it.
        self.recovery_s: float | None = None

    async def login(self) -> None:
        """Log the customers in."""
        self.alice, self.bob = await self.shop.login("alice"), await self.shop.login("bob")

    # Orders

    async def placed(self, stock: int = 5, quantity: int = 1) -> tuple[dict[str, Any], int]:
        """Make a product and order it as alice. Returns product and order id."""
        product = await self.back_office.product(stock=stock)
        return product, await self.alice.checkout(product, quantity)

    async def complete(self, order: int, who: Customer | None = None, deadline_s: float = 40) -> None:
        """Pay an order and wait until it is completed."""
        await self.pay(order, who, deadline_s)
        await (who or self.alice).wait_status(order, "completed", deadline_s)

    async def pay(self, order: int, who: Customer | None = None, deadline_s: float = 40) -> None:
        """Pay the invoice of an order, once there is one."""
        await self.shop.pay((await self.invoice(order, who, deadline_s))["invoice_id"])

    async def invoice(self, order: int, who: Customer | None = None, deadline_s: float = 40) -> dict[str, Any]:
        """Wait for an order's invoice and return the payment."""
        customer = who or self.alice

        async def billed() -> dict[str, Any] | None:
            try:
                payment = await customer.payment(order)
            except (httpx2.TransportError, httpx2.HTTPStatusError):
                return None
            return payment if payment.get("invoice_url") else None

        return dict(await poll(billed, f"invoice of order {order}", deadline_s, 0.05))

    async def sql(self, service: str, statement: str, *values: object) -> list[asyncpg.Record]:
        """Run a statement in a service's database as PostgreSQL's superuser, without the proxy."""
        connection = await self.stack.programs.postgres.connect(service)
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    async def history(self, order: int, who: Customer | None = None) -> list[str]:
        """Return the statuses of an order, oldest first."""
        return [step["status"] for step in (await (who or self.alice).order(order))["history"]]

    # Time

    async def advance(self, seconds: int) -> None:
        """Let so many seconds pass at once, for the whole stack, and log everybody in again."""
        await self.stack.programs.clock.advance(seconds)
        await self.login()
        self.back_office = BackOffice(self.stack, self.shop, self.client)

    # Faults

    @asynccontextmanager
    async def broken(self, part: str, mode: str, *values: float) -> AsyncIterator[None]:
        """Break the connections to a part (see network.PARTS and Wire) for the block."""
        async with self.network[part].broken(mode, *values):
            yield
        self.healed()

    def pid(self, name: str) -> int:
        return self.stack.supervisor.state(name).pid

    def signal(self, name: str, number: signal.Signals) -> None:
        os.kill(self.pid(name), number)

    @asynccontextmanager
    async def frozen(self, name: str) -> AsyncIterator[None]:
        """Stop a supervised program with SIGSTOP for the block."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
        self.healed()

    @asynccontextmanager
    async def stopped(self, *programs: str) -> AsyncIterator[None]:
        """Stop supervised programs for the block; see `processes.stopped`."""
        async with processes.stopped(self.stack, *programs):
            yield
        self.healed()

    @asynccontextmanager
    async def replaced(
        self, service: str, environment: Environment | None = None, *, ready: bool = True
    ) -> AsyncIterator[ServiceProcess]:
        """Run a service with further settings in the place of the supervised one for the block."""
        async with self.all_replaced({service: environment or {}}, ready=ready) as started:
            yield started[service]

    @asynccontextmanager
    async def all_replaced(
        self, environments: Mapping[str, Environment], *, ready: bool = True
    ) -> AsyncIterator[dict[str, ServiceProcess]]:
        """Replace several services at once; the supervised ones are started together afterwards."""
        async with processes.replaced(self.stack, environments, ready=ready) as started:
            yield started
        self.healed()

    def replica(
        self, service: str, environment: Environment | None = None, *, command: str = "serve"
    ) -> AbstractAsyncContextManager[ServiceProcess]:
        """Run one more process of a service beside the supervised one for the block."""
        return processes.replica(self.stack, service, environment, command=command)

    @asynccontextmanager
    async def killed(self, service: str, failpoint: str) -> AsyncIterator[None]:
        """Have a service kill itself at a failpoint in the block. Leaving the block waits until it has."""
        async with processes.killed_at(self.stack, service, failpoint):
            yield
        self.healed()

    # Final check

    def healed(self) -> None:
        """Mark the end of the fault: the recovery is measured from here."""
        self._healed = time.monotonic()

    async def exact(self, *, ignore: Collection[str] = (), quiet_s: float = QUIET_S) -> Report:
        """Wait until nothing is pending, then check every invariant and complete one new order.

        `ignore` names rules of the audit that a test violates on purpose. Returns the report of the audit.
        """
        report = await run_audit(Sources.of_stack(self.stack.layout), quiesce_s=quiet_s, ignore=ignore)
        if self._healed is not None:
            self.recovery_s = time.monotonic() - self._healed
            self._record(self.recovery_s)
            self._healed = None
        violations = [finding for finding in report.findings if finding.level is Level.VIOLATION]
        assert not violations, "the auditor: " + "; ".join(
            f"{each.rule}: {each.subject}: expected {each.expected}, found {each.found}" for each in violations
        )
        assert report.unread == {}
        broken = await self._invariants.violations()
        assert not broken, broken
        await order_goes_through(self.shop, self.back_office, self.alice)
        return report

    @staticmethod
    def _record(recovery_s: float) -> None:
        """Append the recovery time to the file that FAULTS_RECORD names, if any."""
        if path := os.environ.get("FAULTS_RECORD"):
            test = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split(" ")[0]
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"test": test, "recovery_s": round(recovery_s, 2)}) + "\n")
