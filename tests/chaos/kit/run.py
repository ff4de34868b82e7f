"""One chaos run: faults and load at the same time, then recovery, the audit and a verdict."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import httpx2

from fc.audit.report import Finding
from fc.audit.rules.rule import Level
from fc.audit.run import run_audit
from fc.demo.shop import Shop
from fc.platform.sources import Sources
from fc.stack.local import Stack
from tests.chaos.kit.invariants import Invariants, order_goes_through
from tests.chaos.kit.load import PAY, Load
from tests.chaos.kit.network import Network
from tests.chaos.kit.schedule import FREEZE, KILL, NETWORK, STOP, XENDIT, Fault, Plan
from tests.kit.back_office import BackOffice

QUIET_S = 180
OVERRIDES = {
    "SCHEDULER_STATUS_INTERVAL_S": "2",
    "SCHEDULER_STATUS_MIN_AGE_S": "1",
    "SCHEDULER_PENDING_INTERVAL_S": "1",
}
"""Settings with which lost webhooks are found in seconds instead of minutes."""


@dataclass
class Verdict:
    """The result of a run: `violations` of the audit, and `leaks`, the violations of all other checks.

    `ready_s` is from the healing until all services are ready, `recovery_s` until rest; `fresh_s` is what an order took
    after that, from checkout to completed.
    """

    plan: Plan
    orders: int = 0
    paid: int = 0
    ready_s: float = 0.0
    recovery_s: float = 0.0
    fresh_s: float = 0.0
    violations: list[Finding] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """All violations and leaks, one line each."""
        return [*(str(finding.as_json()) for finding in self.violations), *self.leaks]


class Chaos:
    """Runs plans on one stack."""

    def __init__(
        self, stack: Stack, network: Network, client: httpx2.AsyncClient, say: Callable[[str], object] = lambda _: None
    ) -> None:
        self._stack = stack
        self._network = network
        self._invariants = Invariants(stack)
        self._client = client
        self._say = say

    async def run(self, plan: Plan) -> Verdict:
        """Run a plan. Raises TimeoutError for a call of the load that does not succeed within two minutes."""
        verdict = Verdict(plan)
        async with Shop.opened(self._stack.urls(), self._stack.accounts()) as shop:
            back_office = BackOffice(self._stack, shop, self._client)
            products = [await back_office.product(stock=30) for _ in range(3)] + [await back_office.product(stock=5)]
            customers = [await shop.login("alice"), await shop.login("bob")]
            load = Load(shop, customers, products, plan.seed)
            faults = asyncio.create_task(self._inflict(plan))
            loading = asyncio.create_task(load.run(plan.orders, plan.length_s))
            try:
                await faults
            finally:
                began = time.monotonic()
                await self._heal()
                verdict.ready_s = time.monotonic() - began
            await loading
            report = await run_audit(Sources.of_stack(self._stack.layout), quiesce_s=QUIET_S)
            verdict.recovery_s = time.monotonic() - began
            verdict.leaks = [
                *await self._invariants.violations(),
                *(f"not read: {why}" for why in report.unread.values()),
            ]
            verdict.fresh_s = await order_goes_through(shop, back_office, customers[0])
        verdict.orders = sum(item.order is not None for item in load.bought)
        verdict.paid = sum(item.invoice is not None and item.intent == PAY for item in load.bought)
        verdict.violations = [finding for finding in report.findings if finding.level is Level.VIOLATION]
        return verdict

    async def _inflict(self, plan: Plan) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in plan.faults:
                await asyncio.sleep(max(0.0, fault.at - (time.monotonic() - began)))
                self._say(str(fault))
                group.create_task(self._one(fault))

    async def _one(self, fault: Fault) -> None:
        if fault.kind == KILL:
            self._signal(fault.target, signal.SIGKILL)
        elif fault.kind == FREEZE:
            self._signal(fault.target, signal.SIGSTOP)
            await asyncio.sleep(fault.lasts)
            self._signal(fault.target, signal.SIGCONT)
        elif fault.kind == STOP:
            await asyncio.to_thread(self._stack.supervisor.stop, fault.target)
            await asyncio.sleep(fault.lasts)
            await asyncio.to_thread(self._stack.supervisor.start, fault.target)
        elif fault.kind == XENDIT:
            await self._switch(dict(fault.switches))
            await asyncio.sleep(fault.lasts)
            await self._switch(dict.fromkeys(name for name, _ in fault.switches))
        elif fault.kind == NETWORK:
            [(mode, value)] = fault.switches
            async with self._network[fault.target].broken(mode, *([] if value is None else [value])):
                await asyncio.sleep(fault.lasts)

    def _signal(self, name: str, number: signal.Signals) -> None:
        pid = self._stack.supervisor.state(name).pid
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    async def _switch(self, switches: dict[str, object]) -> None:
        answer = await self._client.put(f"{self._stack.layout.url('xendit')}/_sim/faults", json=switches)
        answer.raise_for_status()

    async def _heal(self) -> None:
        """Resume and start every process, and wait until all services are ready."""
        for state in self._stack.supervisor.states():
            if state.pid:
                with suppress(ProcessLookupError):
                    os.kill(state.pid, signal.SIGCONT)
        await asyncio.to_thread(self._stack.up)
