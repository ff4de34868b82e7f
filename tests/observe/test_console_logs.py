"""The console finds the lines of an order, a trace and a request in VictoriaLogs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2

from console.client.log_lines import VictoriaLogs
from console.model.log_lines import Wanted
from tests.kit.pipeline import Pipeline

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def test_the_console_finds_lines_by_order_trace_and_request_in_the_store(tmp_path: Path, built: None) -> None:
    began = datetime.now(UTC)
    times = [f"{began + timedelta(milliseconds=number):%Y-%m-%dT%H:%M:%S.%fZ}" for number in range(5)]
    head = [{"timestamp": time, "level": "info", "service": "orderfc", "logger": "orderfc.checkout"} for time in times]
    ids = {"trace_id": TRACE, "span_id": SPAN, "request_id": "r-1"}
    async with Pipeline.running(tmp_path) as pipeline, httpx2.AsyncClient(trust_env=False) as http:
        pipeline.write(
            "orderfc.log",
            head[0] | ids | {"event": "order placed", "order_id": 42, "note": "for alice@example.com"},
            head[1] | {"event": "message applied", "key": "order-42"},
            head[2] | {"event": "callback sent", "external_id": "order-42"},
            head[3] | {"event": "order placed", "order_id": 421},
            head[4] | ids | {"event": "request"},
        )
        await pipeline.found("service.name:=orderfc", 5)
        logs, since = VictoriaLogs(http, pipeline.url), began - timedelta(minutes=1)
        of_order = await logs.find(Wanted(order_id=42), since, 10)
        of_trace = await logs.find(Wanted(trace_id=TRACE), since, 10)
        of_request = await logs.find(Wanted(request_id="r-1"), since, 10)
        last = await logs.find(Wanted(order_id=42), since, 2)
        later = await logs.find(Wanted(order_id=42), began + timedelta(hours=1), 10)
    assert [line.event for line in of_order.lines] == ["order placed", "message applied", "callback sent"]
    assert dict(of_order.lines[0].fields)["note"] == "for ****"
    assert [line.event for line in of_trace.lines] == ["order placed", "request"]
    assert of_request.lines == of_trace.lines
    assert ([line.event for line in last.lines], last.cut) == (["message applied", "callback sent"], True)
    assert not later.lines
