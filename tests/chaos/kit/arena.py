"""Where faults are tried: a stack with a proxy before each of its parts, and the proof that nothing was lost."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
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
from tests.chaos.kit.aftermath import Aftermath, order_goes_through
from tests.chaos.kit.network import Network
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus

QUIET_S = 90
STOP_S = 25


class Running:
    """A service's process that a test has started itself."""

    def __init__(self, service: str, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.service = service
        self.process = process
        self.url = url
        self.log = log

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def ended(self, deadline_s: float = STOP_S) -> int:
        """Wait until it has ended, and give its exit code (-9: SIGKILL)."""

        async def over() -> bool:
            return self.process.poll() is not None

        await poll(over, f"{self.service} ends, see {self.log}", deadline_s, 0.02)
        return int(self.process.returncode)


class Arena:
    """A seeded stack, its network, and the people of the shop."""

    def __init__(self, stack: Stack, network: Network, client: httpx2.AsyncClient, shop: Shop, bus: Bus) -> None:
        self.stack = stack
        self.network = network
        self.client = client
        self.shop = shop
        self.bus = bus
        self.back_office = BackOffice(stack, shop, client)
        self.alice: Customer
        self.bob: Customer
        self._aftermath = Aftermath(stack)
        self._healed: float | None = None

    async def login(self) -> None:
        """Log the customers in."""
        self.alice, self.bob = await self.shop.login("alice"), await self.shop.login("bob")

    # Orders

    async def placed(self, stock: int = 5, quantity: int = 1) -> tuple[dict[str, Any], int]:
        """Make a product and have alice order it; give both."""
        product = await self.back_office.product(stock=stock)
        return product, await self.alice.checkout(product, quantity)

    async def complete(self, order: int, who: Customer | None = None, deadline_s: float = 40) -> None:
        """Pay an order and wait until it is completed."""
        who = who or self.alice
        await self.shop.pay((await self.invoice(order, who, deadline_s))["invoice_id"])
        await who.wait_status(order, "completed", deadline_s)

    async def invoice(self, order: int, who: Customer | None = None, deadline_s: float = 40) -> dict[str, Any]:
        """Wait for an order's invoice, and give the payment."""
        customer = who or self.alice

        async def known() -> dict[str, Any] | None:
            try:
                payment = await customer.payment(order)
            except (httpx2.TransportError, httpx2.HTTPStatusError):
                return None
            return payment if payment.get("invoice_url") else None

        return dict(await poll(known, f"invoice of order {order}", deadline_s, 0.05))

    async def sql(self, service: str, statement: str, *values: object) -> list[asyncpg.Record]:
        """Run a statement in a service's database as its owner, past the proxy."""
        address = Sources.of_stack(self.stack.layout).databases[service]
        connection = await asyncpg.connect(
            host=address.host, port=address.port, user=address.user, password=address.password,
            database=address.database,
        )  # fmt: skip
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    async def history(self, order: int, who: Customer | None = None) -> list[str]:
        """Give the statuses that an order has had."""
        return [step["status"] for step in (await (who or self.alice).order(order))["history"]]

    # Faults

    @asynccontextmanager
    async def broken(self, part: str, mode: str, *values: float) -> AsyncIterator[None]:
        """Break the way to a part (see network.PARTS and Wire) for the block."""
        async with self.network[part].broken(mode, *values):
            yield
        self.healed()

    def pid(self, name: str) -> int:
        """Give the process id of a supervised program."""
        return self.stack.supervisor.state(name).pid

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a supervised program."""
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
    async def stopped(self, name: str) -> AsyncIterator[None]:
        """Stop a supervised program in order for the block; a service is ready again afterwards."""
        await asyncio.to_thread(self.stack.supervisor.stop, name)
        try:
            yield
        finally:
            await asyncio.to_thread(self.stack.up)
        self.healed()

    @asynccontextmanager
    async def instead(
        self, service: str, environment: Mapping[str, str] | None = None, *, ready: bool = True
    ) -> AsyncIterator[Running]:
        """Run a service with further settings in the place of the supervised one, which is back afterwards."""
        async with self.stopped(service):
            given = {**self.stack.programs.environment(service), **(environment or {})}
            async with self._running(service, "serve", given, ready=ready) as running:
                yield running

    @asynccontextmanager
    async def replica(
        self, service: str, environment: Mapping[str, str] | None = None, *, command: str = "serve"
    ) -> AsyncIterator[Running]:
        """Run one more process of a service on ports of its own beside the supervised one."""
        given = {**self.stack.programs.environment(service), "HTTP_PORT": str(_free_port())}
        if "GRPC_PORT" in given:
            given["GRPC_PORT"] = str(_free_port())
        async with self._running(service, command, {**given, **(environment or {})}) as running:
            yield running

    @asynccontextmanager
    async def _running(
        self, service: str, command: str, environment: Mapping[str, str], *, ready: bool = True
    ) -> AsyncIterator[Running]:
        log = self.stack.home / "logs" / f"{service}-by-test.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", service, command],
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
            )
        running = Running(service, process, f"http://localhost:{environment['HTTP_PORT']}", log)
        try:
            if ready:
                await self.ready(running.url)
            yield running
        finally:
            if process.poll() is None:
                # A frozen one does not hear SIGTERM.
                process.send_signal(signal.SIGCONT)
                process.terminate()
                try:
                    await running.ended()
                except TimeoutError:
                    process.kill()
            process.wait()

    async def ready(self, url: str, deadline_s: float = 60) -> None:
        """Wait until a service answers /ready with 200."""

        async def answers() -> bool:
            try:
                return bool((await self.client.get(f"{url}/ready")).status_code == 200)
            except httpx2.HTTPError:
                return False

        await poll(answers, f"{url} is ready", deadline_s, 0.05)

    @asynccontextmanager
    async def killed(self, service: str, point: str) -> AsyncIterator[None]:
        """Have a service kill itself at a failpoint in the block; leaving it waits for its death, then it is back."""
        async with self.instead(service, {"FAILPOINTS": f"{point}=kill"}) as running:
            yield
            assert await running.ended(30) == -signal.SIGKILL, f"see {running.log}"

    # Proof

    def healed(self) -> None:
        """Say that the fault is over now: from here on the recovery is measured."""
        self._healed = time.monotonic()

    async def exact(self, *, ignore: Collection[str] = (), quiet_s: float = QUIET_S) -> Report:
        """Wait for rest, audit everything, look for leaks, and have one fresh order go through.

        `ignore` names the audit's rules that a test has broken on purpose. Returns the audit's report.
        """
        report = await run_audit(Sources.of_stack(self.stack.layout), quiesce_s=quiet_s, ignore=ignore)
        if self._healed is not None:
            self._note(time.monotonic() - self._healed)
            self._healed = None
        violations = [finding for finding in report.findings if finding.level is Level.VIOLATION]
        assert not violations, "the auditor: " + "; ".join(
            f"{each.rule}: {each.subject}: expected {each.expected}, found {each.found}" for each in violations
        )
        assert report.unread == {}
        assert await self._aftermath.faults() == []
        await order_goes_through(self.shop, self.back_office, self.alice)
        return report

    @staticmethod
    def _note(recovery_s: float) -> None:
        """Write down how long the platform took to rest, where FAULTS_RECORD names a file."""
        if path := os.environ.get("FAULTS_RECORD"):
            test = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split(" ")[0]
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"test": test, "recovery_s": round(recovery_s, 2)}) + "\n")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
