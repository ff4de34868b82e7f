"""Stores of log lines and traces: their answers are read within bounds of bytes and time, and lines one by one."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from console.client import bounded
from console.client.admin_api import NoAnswer
from console.client.jaeger import Jaeger
from console.client.log_lines import Loki, VictoriaLogs
from console.model.log_lines import Wanted

WANTED = Wanted(order_id=42)
BLOCK = b" " * 65_536


class Endless:
    """An answer that does not end; `blocks` says how much of it was taken."""

    def __init__(self, block: bytes) -> None:
        self.block = block
        self.blocks = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.blocks += 1
            await asyncio.sleep(0)
            yield self.block


def answering(answer: httpx2.Response) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: answer))


async def ask(store: Any, answer: httpx2.Response) -> Any:
    async with answering(answer) as http:
        asked = store(http, "http://store")
        if store is Jaeger:
            return await asked.trace("0" * 32)
        return await asked.find(WANTED, datetime.now(UTC) - timedelta(days=1), 10)


@pytest.mark.parametrize("store", [Jaeger, VictoriaLogs, Loki])
async def test_of_an_answer_that_is_too_large_no_more_is_taken_than_its_bound(store: Any) -> None:
    endless = Endless(BLOCK)
    with pytest.raises(NoAnswer, match="more than 5,242,880 bytes"):
        await ask(store, httpx2.Response(200, content=endless))
    assert endless.blocks == bounded.MAX_BYTES // len(BLOCK) + 1


@pytest.mark.parametrize("store", [Jaeger, VictoriaLogs, Loki])
async def test_an_answer_that_trickles_is_cut_as_a_whole(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "TIMEOUT_S", 0.05)
    async with asyncio.timeout(10):
        with pytest.raises(NoAnswer, match="no answer in 0.05 s"):
            await ask(store, httpx2.Response(200, content=Endless(b" ")))


@pytest.mark.parametrize("store", [Jaeger, VictoriaLogs, Loki])
async def test_of_a_failure_only_the_status_is_taken(store: Any) -> None:
    endless = Endless(BLOCK)
    with pytest.raises(NoAnswer, match="it answers 500"):
        await ask(store, httpx2.Response(500, content=endless))
    assert endless.blocks == 0


def record(event: str) -> str:
    fields = {"_time": "2026-11-28T09:30:01.5Z", "_msg": event, "service.name": "orderfc", "order_id": "42"}
    return json.dumps(fields, ensure_ascii=False)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085"])
async def test_a_line_ends_at_a_newline_and_at_no_other_separator(separator: str) -> None:
    text = f"{record(f'one{separator}line')}\r\n{record('other')}\n"
    found = await ask(VictoriaLogs, httpx2.Response(200, text=text))
    assert [line.event for line in found.lines] == [f"one{separator}line", "other"]
    assert not found.cut


@pytest.mark.parametrize("spoiled", ['{"_msg": "hal', "[1]", "[" * 100_000, "<html>"])
async def test_a_line_that_cannot_be_read_is_left_out_and_the_list_says_that_it_is_cut(spoiled: str) -> None:
    found = await ask(VictoriaLogs, httpx2.Response(200, text=f"{record('one')}\n{spoiled}\n{record('other')}\n"))
    assert [line.event for line in found.lines] == ["one", "other"]
    assert found.cut
