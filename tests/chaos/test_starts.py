"""Services that start before their servers, databases, tables or topics wait for them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from fc.audit.report import Finding
from fc.audit.rules.rule import Level
from fc.audit.run import run_audit
from fc.demo.seed import seed
from fc.demo.shop import Shop, poll
from fc.platform.sources import Sources
from fc.stack.layout import SERVICES, SIMULATOR
from fc.stack.local import Stack
from servers.base import Server
from servers.postgres import PASSWORD as DATABASE_PASSWORD
from tests.chaos.kit.arena import Arena
from tests.kit.back_office import BackOffice

# A consumer reads the list of topics every 30 s.
TOPICS_SEEN_S = 60


async def alive(stack: Stack, client: httpx2.AsyncClient) -> dict[str, int]:
    """Start the services, wait until each answers /health, and return their process ids."""
    for name in SERVICES:
        stack.supervisor.start(name)

    async def answer() -> bool:
        try:
            urls = [f"{stack.layout.url(name)}/health" for name in SERVICES]
            return all([(await client.get(url)).status_code == 200 for url in urls])
        except httpx2.TransportError:
            return False

    await poll(answer, "the services are alive", 60, 0.1)
    return processes(stack)


def processes(stack: Stack) -> dict[str, int]:
    """Return the services' process ids; a service that exits and is restarted has another one."""
    return {state.name: state.pid for state in stack.supervisor.states() if state.name in SERVICES}


async def started(stack: Stack, server: Server) -> None:
    """Start a server and wait until it answers."""
    stack.supervisor.start(server.name)
    await poll(server.ready, f"{server.name} is ready", 60, 0.1)


async def readiness(stack: Stack, client: httpx2.AsyncClient, service: str) -> tuple[int, dict[str, str]]:
    """Return the status and the checks of a service's readiness."""
    answer = await client.get(f"{stack.layout.url(service)}/ready")
    return answer.status_code, answer.json()["checks"]


@pytest.mark.fault(78)
@pytest.mark.parametrize("last", ["postgres", "kafka", "redis"])
async def test_services_that_are_there_before_their_servers_wait_say_so_and_go_on_where_they_were(
    arena: Arena, last: str
) -> None:
    stack = arena.stack
    product, order = await arena.placed()
    servers = {server.name: server for server in stack.programs.servers}
    try:
        await asyncio.to_thread(stack.supervisor.stop_all, SERVICES, 30)
        await asyncio.to_thread(stack.supervisor.stop_all, servers, 30)
        pids = await alive(stack, arena.client)
        for name in servers:
            if name != last:
                await started(stack, servers[name])
        status, checks = await readiness(stack, arena.client, "orderfc")
        lacking = checks["database" if last == "postgres" else last]
        assert (status, lacking.split(":")[0]) == ((503, "failed") if last == "postgres" else (200, "degraded"))
        await started(stack, servers[last])
    finally:
        await asyncio.to_thread(stack.up)
    arena.healed()
    await arena.complete(order)
    await arena.exact()
    assert await arena.back_office.stock(product) == 4
    assert processes(stack) == pids


@asynccontextmanager
async def bare(home: Path) -> AsyncIterator[Stack]:
    """Launch a stack's supervisor without any program, database or topic."""
    stack = Stack.for_tests(home)
    for server in stack.programs.servers:
        await asyncio.to_thread(server.prepare)
    await asyncio.to_thread(stack.supervisor.launch, stack.programs.all(), stack.programs.base_environment())
    try:
        yield stack
    finally:
        await asyncio.to_thread(stack.down)
        stack.wipe()


async def migrated(stack: Stack) -> None:
    """Make the databases and migrate them."""
    await stack.programs.postgres.make_databases()
    for name in SERVICES:
        # The role of the running service may not create tables.
        owner = {"DB_MIGRATION_USER": name, "DB_MIGRATION_PASSWORD": DATABASE_PASSWORD}
        environment = {**os.environ, **stack.programs.environment(name), **owner}
        command = [sys.executable, "-m", name, "migrate"]
        await asyncio.to_thread(subprocess.run, command, env=environment, check=True, capture_output=True)


async def violations(stack: Stack) -> list[Finding]:
    """Wait until the stack is at rest and return the violations of the audit."""
    report = await run_audit(Sources.of_stack(stack.layout), quiesce_s=90)
    return [finding for finding in report.findings if finding.level is Level.VIOLATION]


@pytest.mark.fault(78)
@pytest.mark.long
async def test_services_on_a_machine_without_databases_tables_and_topics_serve_once_these_are_made(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with (
        bare(tmp_path_factory.mktemp("bare")) as stack,
        httpx2.AsyncClient(timeout=20) as client,
        Shop.opened(stack.urls(), stack.accounts()) as shop,
    ):
        stack.supervisor.start(SIMULATOR)
        pids = await alive(stack, client)
        await started(stack, stack.programs.brokers[0])
        await started(stack, stack.programs.postgres)
        assert (await readiness(stack, client, "orderfc"))[0] == 503
        await migrated(stack)
        for name in SERVICES:
            await stack.ready(name)
        for server in stack.programs.servers:
            await started(stack, server)
        await seed(stack.urls(), stack.accounts())
        back_office, alice = BackOffice(stack, shop, client), await shop.login("alice")
        product = await back_office.product(stock=5)
        order = await alice.checkout(product, 2)
        # Until here neither the relays nor the consumers had a topic.
        await asyncio.to_thread(stack.make_topics)

        async def invoiced() -> str | None:
            return (await alice.payment(order)).get("invoice_id")

        await shop.pay(await poll(invoiced, "the invoice is made", TOPICS_SEEN_S, 0.1))
        await alice.wait_status(order, "completed", TOPICS_SEEN_S)
        await back_office.wait_stock(product, 3)
        assert await violations(stack) == []
        assert processes(stack) == pids
