"""Which traces are recorded, and what a closer look at database and Redis shows."""

import secrets

import httpx2
import pytest

from fc.demo.shop import poll
from fc.stack.local import Stack
from tests.kit.otlp_sink import OtlpSink
from tests.kit.processes import replica
from tests.kit.spans import Span
from tests.telemetry.edges import problems

RATIO, REQUESTS = 0.3, 200
# Far from 60 of 200: one run in 10^9 is outside.
BOUNDS = range(22, 100)
SPANS_S = 30


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_services_record_the_same_part_of_the_traces_that_a_caller_has_chosen(
    stack: Stack, client: httpx2.AsyncClient, sink: OtlpSink, flags: str
) -> None:
    """The ids are small numbers behind a part of their own: OpenTelemetry would record each of them, or none."""
    chosen = {f"{secrets.token_hex(8)}{number:016x}" for number in range(REQUESTS)}
    settings = {"OTEL_TRACES_RATIO": str(RATIO)}
    async with (
        replica(stack, "productfc", settings, command="api") as productfc,
        replica(stack, "orderfc", settings, command="api") as orderfc,
    ):
        for trace_id in chosen:
            headers = {"traceparent": f"00-{trace_id}-{'b' * 16}-{flags}"}
            await client.get(f"{productfc.url}/v1/products/1", headers=headers)
            await client.get(f"{orderfc.url}/v1/orders/1", headers=headers)
    # They have ended, and sent their last spans.
    recorded = {
        service: {span.trace_id for span in sink.spans if span.service == service} & chosen
        for service in ("productfc", "orderfc")
    }
    assert len(recorded["orderfc"]) in BOUNDS
    assert recorded["orderfc"] == recorded["productfc"]


async def test_a_closer_look_shows_statements_and_uses_of_redis_without_a_value(
    stack: Stack, client: httpx2.AsyncClient, sink: OtlpSink
) -> None:
    trace_id, caller = secrets.token_hex(16), secrets.token_hex(8)
    email, password = stack.accounts()["admin"]
    headers = {"traceparent": f"00-{trace_id}-{caller}-01"}
    async with replica(stack, "userfc", {"OTEL_DATABASE_SPANS": "true"}, command="api") as userfc:
        answer = await client.post(
            f"{userfc.url}/v1/login", headers=headers, json={"email": email, "password": password}
        )
        answer.raise_for_status()

    async def complete() -> list[Span] | None:
        spans = await sink.trace(trace_id)
        return spans if any(span.name == "POST /v1/login" for span in spans) else None

    spans: list[Span] = await poll(complete, "the trace of a log-in", SPANS_S, 0.2)
    stores = {span.attributes.get("db.system.name") for span in spans}
    assert stores >= {"postgresql", "redis"}
    statements = [span.attributes["db.query.text"] for span in spans if "db.query.text" in span.attributes]
    assert any("FROM users" in statement for statement in statements)
    found = problems(spans, [caller], [email, password, answer.json()["token"]])
    assert [problem for problem in found if not problem.startswith("not declared: userfc POST /v1/login")] == []
