"""The collector for real: log files, redaction, VictoriaLogs; restarts, kills, rotations, a store that is away."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.kit.pipeline import Pipeline

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjo3fQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
SECRETS = (
    "alice.o-neil+shop@mail.example.com",
    JWT,
    "Authorization: Bearer abcdefgh12345678",
    "xnd_development_abcDEF123",
)
PASSWORD = "hunter2-hunter2"
# A quarter of a kilobyte, as the lines of the services.
PADDING = "x" * 120
QUEUE_BYTES = 300_000


def now() -> str:
    # The store trims zeros at the end.
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.198157Z"


def line(**fields: Any) -> dict[str, Any]:
    own = {"level": "info", "service": "orderfc", "event": "order placed", "logger": "orderfc.checkout"}
    return own | {"timestamp": now()} | fields


@pytest.fixture
async def pipeline(tmp_path: Path, built: None) -> AsyncIterator[Pipeline]:
    async with Pipeline.running(tmp_path) as running:
        yield running


async def test_a_line_is_found_by_its_order_and_its_trace_with_its_time_level_and_service(pipeline: Pipeline) -> None:
    time = now()
    ids = {"order_id": 42, "trace_id": TRACE, "span_id": SPAN, "request_id": "r-1"}
    pipeline.write("orderfc.log", line(**ids, timestamp=time, level="warning"), line(order_id=421))
    [record] = await pipeline.found("order_id:=42")
    assert [record] == await pipeline.query(f"trace_id:={TRACE}")
    shown = {name: record.get(name) for name in ("_msg", "_time", "service.name", "level", "severity_text", "span_id")}
    assert shown == {
        "_msg": "order placed",
        "_time": time,
        "service.name": "orderfc",
        "level": "warning",
        "severity_text": "warning",
        "span_id": SPAN,
    }
    assert (record["request_id"], record["logger"]) == ("r-1", "orderfc.checkout")
    assert not {"timestamp", "log.file.name", "event", "service"} & record.keys()


async def test_personal_data_and_secrets_are_masked_wherever_they_stand(pipeline: Pipeline) -> None:
    for number, secret in enumerate(SECRETS):
        texts = {"error": f"sent to {secret}, refused", "event": f"mail to {secret} failed", "items": ["a", secret]}
        pipeline.write("paymentfc.log", line(order_id=number, **texts))
        pipeline.write("redis.log", f"plain text about {secret}".encode())
    pipeline.write("userfc.log", line(order_id=99, password=PASSWORD, Cookie=PASSWORD))
    records = await pipeline.found("*", 2 * len(SECRETS) + 1)
    text = json.dumps(records)
    assert text.count("refused") == len(SECRETS)
    hidden = (*SECRETS, PASSWORD, "abcdefgh12345678", "alice")
    assert [secret for secret in hidden if secret in text] == []


async def test_lines_of_servers_keep_their_name_and_of_an_engine_only_those_of_the_platform_are_taken(
    pipeline: Pipeline,
) -> None:
    def wrapped(text: str, end: str = "\n") -> bytes:
        content = {"log": text + end, "stream": "stderr", "time": now()}
        return json.dumps(content, separators=(",", ":")).encode()

    pipeline.write("postgres.log", b"2026-11-28 06:11:50 LOG:  database system is ready", b"{not json}", b'{"a": 1}')
    long = json.dumps(line(order_id=3, padding="y" * 40_000))
    parts = [long[at : at + 16_384] for at in range(0, len(long), 16_384)]
    pipeline.write(
        "0a1b-json.log",
        wrapped(json.dumps(line(order_id=1))),
        wrapped("somebody else's secret"),
        wrapped(json.dumps(line(order_id=2, service="theirs"))),
        *(wrapped(part, "") for part in parts[:-1]),
        wrapped(parts[-1]),
        wrapped(json.dumps(line(order_id=4))),
    )
    records = await pipeline.found("*", 6)
    names = Counter((record["service.name"], record.get("order_id")) for record in records)
    assert names == {("postgres", None): 3, ("orderfc", "1"): 1, ("orderfc", "3"): 1, ("orderfc", "4"): 1}


async def test_no_line_is_lost_or_doubled_when_the_collector_is_restarted(pipeline: Pipeline) -> None:
    for part in range(5):
        pipeline.write("orderfc.log", *(line(number=number) for number in range(part * 400, part * 400 + 400)))
        if part % 2:
            await pipeline.collector.stop()
            await pipeline.collector.start()
    records = await pipeline.found("*", 2000)
    assert sorted(int(record["number"]) for record in records) == list(range(2000))


async def test_no_line_is_lost_when_the_collector_is_killed_while_lines_are_written(pipeline: Pipeline) -> None:
    async def write() -> None:
        for number in range(0, 6000, 20):
            pipeline.write("orderfc.log", *(line(number=each) for each in range(number, number + 20)))
            await asyncio.sleep(0.002)

    writing = asyncio.create_task(write())
    for count in (300, 1500, 3000):
        await pipeline.found("*", count)
        await pipeline.collector.stop(signal.SIGKILL)
        await pipeline.collector.start()
    await writing
    pipeline.write("orderfc.log", line(number=6000))
    await pipeline.found("number:=6000")
    seen = Counter(int(record["number"]) for record in await pipeline.query("*"))
    assert sorted(seen) == list(range(6001))
    # What was sent and not yet noted is sent again.
    assert sum(seen.values()) < 6001 + 3 * 4000


async def test_a_log_that_is_rotated_is_read_to_its_end(pipeline: Pipeline) -> None:
    for part in range(3):
        pipeline.write("orderfc.log", *(line(number=number) for number in range(part * 500, part * 500 + 500)))
        (pipeline.logs / "orderfc.log").rename(pipeline.logs / "orderfc.log.1")
        pipeline.write("orderfc.log", line(number=10_000 + part))
        await pipeline.found(f"number:={10_000 + part}")
    seen = Counter(int(record["number"]) for record in await pipeline.found("*", 1503))
    assert sorted(seen) == [*range(1500), 10_000, 10_001, 10_002]


async def test_a_store_that_is_away_costs_bounded_disk_and_memory_and_no_line(tmp_path: Path, built: None) -> None:
    small = tmp_path / "small.yaml"
    small.write_text(f"exporters: {{otlp_http/logs: {{sending_queue: {{queue_size: {QUEUE_BYTES}}}}}}}")
    async with Pipeline.running(tmp_path, f"--config={small}") as pipeline:
        pipeline.write("orderfc.log", line(number=0))
        await pipeline.found("number:=0")
        await pipeline.store.stop()
        for number in range(1, 20_000, 500):
            pipeline.write("orderfc.log", *(line(number=each, padding=PADDING) for each in range(number, number + 500)))
        await pipeline.full()
        assert pipeline.kept_bytes() < 10 * QUEUE_BYTES
        assert pipeline.memory_bytes() < 200 << 20
        await pipeline.collector.stop(signal.SIGKILL)
        await pipeline.collector.start()
        await pipeline.store.start()
        await pipeline.found("number:=20000")
        seen = {int(record["number"]) for record in await pipeline.found("*", 20_001)}
    assert seen == set(range(20_001))
