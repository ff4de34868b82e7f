"""Fixtures of the operator's commands: the addresses of the stack, and `fc` as a process."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from fc.demo.shop import Shop
from fc.ops import dlq, outbox
from fc.ops.kafka_records import KafkaRecords
from fc.ops.order import order
from fc.ops.stuck import stuck
from fc.ops.trace import trace
from fc.platform.sources import Sources
from fc.stack.local import Stack
from tests.kit.stacks import SECRETS

Run = Callable[..., Awaitable[Result]]


def lines(result: Result) -> list[dict[str, Any]]:
    """Read a command's JSON lines; its exit code must be 0."""
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="session")
def sources(stack: Stack, shop: Shop) -> Sources:
    """The addresses of the stack's servers."""
    return Sources.of_stack(stack.layout)


@pytest.fixture
async def kafka(sources: Sources) -> AsyncIterator[KafkaRecords]:
    """Kafka as operators use it."""
    async with KafkaRecords.opened(sources.kafka) as opened:
        yield opened


@pytest.fixture
def fc(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of `fc`, for example `fc("dlq", "ls")`, and return its output."""
    monkeypatch.setenv("FC_NATIVE", "1")
    monkeypatch.setenv("FC_HOME", str(stack.home))
    monkeypatch.setenv("FC_PORT_OFFSET", str(stack.layout.offset))
    monkeypatch.setenv("ADMIN_PASSWORD", SECRETS["ADMIN_PASSWORD"])
    app = typer.Typer()
    app.add_typer(dlq.app, name="dlq")
    app.add_typer(outbox.app, name="outbox")
    app.command()(order)
    app.command()(stuck)
    app.command()(trace)

    async def run(*words: str) -> Result:
        return await asyncio.to_thread(lambda: CliRunner().invoke(app, words))

    return run
