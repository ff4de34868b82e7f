"""A stack that is observed: its lines are in the store, `fc trace` leads to them, and stopping it leaves nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
import typer
from typer.testing import CliRunner

from fc.demo.seed import seed
from fc.demo.shop import Shop, poll
from fc.ops.trace import trace
from fc.stack import observe, ports, processes
from fc.stack.layout import OBSERVERS, PORTS, SERVICES
from fc.stack.local import Stack
from tests.kit import log_lines


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory, built: None) -> Iterator[Stack]:
    stack = Stack.for_tests(tmp_path_factory.mktemp("observed"))
    stack.up(observed=True)
    try:
        yield stack
    finally:
        stack.down()
        stack.wipe()


@pytest.fixture
async def shop(observed: Stack) -> AsyncIterator[Shop]:
    await seed(observed.urls(), observed.accounts())
    async with Shop.opened(observed.urls(), observed.accounts()) as opened:
        yield opened


async def records(stack: Stack, query: str) -> list[dict[str, str]]:
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
        url = f"{stack.layout.url('victorialogs')}/select/logsql/query"
        answer = await client.post(url, data={"query": query})
    return [json.loads(line) for line in answer.raise_for_status().text.splitlines()]


async def test_an_order_leads_to_its_lines_in_the_store(
    observed: Stack, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer = await shop.newcomer()
    order = await buyer.checkout(await shop.product("Desk Lamp"), 1)
    await shop.pay((await buyer.invoice(order))["invoice_id"])
    await buyer.wait_status(order, "completed")

    services: set[str] = set()

    # Each file is read by itself: the lines of one service may come later than those of another.
    async def all_there() -> bool:
        found = await records(observed, f"order_id:={order}")
        services.update(each["service.name"] for each in found)
        told = {each["_msg"] for each in found}
        return {"payment result applied", "callback sent"} <= told and len(services) >= 4

    await poll(all_there, "the lines of the order in the store", 30)
    assert services == {"orderfc", "productfc", "paymentfc", "xendit"}
    monkeypatch.setenv("FC_NATIVE", "1")
    monkeypatch.setenv("FC_HOME", str(observed.home))
    monkeypatch.setenv("FC_PORT_OFFSET", str(observed.layout.offset))
    app = typer.Typer()
    app.command()(trace)
    result = await asyncio.to_thread(lambda: CliRunner().invoke(app, [str(order), "--json"]))
    report: dict[str, Any] = json.loads(result.stdout)
    assert report["lines_from"] == ["files", "VictoriaLogs"]
    assert report["links"]["VictoriaLogs"].startswith(observed.layout.url("victorialogs"))
    # Each line is in both places and shown once.
    times = [(line["timestamp"], line["event"], line.get("span_id")) for line in report["lines"]]
    assert len(times) == len(set(times))
    by_trace = await records(observed, f"trace_id:={report['trace_id']}")
    assert {each["service.name"] for each in by_trace} == {"orderfc", "productfc", "paymentfc"}


async def test_every_line_of_the_files_arrives_and_no_address_of_a_customer(observed: Stack, shop: Shop) -> None:
    await shop.newcomer()
    files = log_lines.of_stack(observed.layout)

    async def all_there() -> bool:
        written = sum(path.read_bytes().count(b"\n") for path in files if path.exists())
        stored = await records(observed, "service.name:in(userfc,productfc,orderfc,paymentfc,xendit) | stats count() n")
        return bool(int(stored[0]["n"]) == written > 50)

    await poll(all_there, "as many lines in the store as in the files", 30)
    assert await records(observed, '"@example.com"') == []


async def test_the_parts_are_shown_scraped_and_gone_after_down(observed: Stack) -> None:
    names = {server.name for server in observed.programs.observers}
    assert {"victorialogs", "collector"} <= names
    assert {part.name: part.state for part in observed.status() if part.name in names} == dict.fromkeys(
        names, "running"
    )
    assert observe.urls(observed.layout)["logs"].startswith("http://localhost:")
    if "prometheus" in names:
        query = f"{observed.layout.url('prometheus')}/api/v1/query"

        async def all_up() -> bool:
            async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
                answer = (await client.get(query, params={"query": "up"})).json()
            up = {each["metric"]["job"]: each["value"][1] for each in answer["data"]["result"]}
            return up == dict.fromkeys((*SERVICES, "collector"), "1")

        await poll(all_up, "every target is scraped", 30)
    assert await asyncio.to_thread(observed.down)
    taken = [name for name in (*PORTS, *OBSERVERS) if ports.is_taken(observed.layout.port(name))]
    assert (taken, processes.of_stack(observed.home)) == ([], [])
    assert not observe.wanted(observed.layout)
