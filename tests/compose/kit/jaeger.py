"""Reads traces from Jaeger's HTTP API."""

from typing import Any

import httpx2

from tests.kit.otlp_sink import Span

QUERY = "http://localhost:16686"


async def trace(client: httpx2.AsyncClient, trace_id: str) -> list[Span]:
    """Return the spans of a trace that Jaeger has by now."""
    answer = await client.get(f"{QUERY}/api/traces/{trace_id}")
    if answer.status_code == httpx2.codes.NOT_FOUND:
        return []
    [found] = answer.raise_for_status().json()["data"]
    services = {key: process["serviceName"] for key, process in found["processes"].items()}
    return [_span(each, services[each["processID"]]) for each in found["spans"]]


def _span(each: dict[str, Any], service: str) -> Span:
    references = each.get("references", [])
    own = each["traceID"]
    parents = [one["spanID"] for one in references if one["refType"] == "CHILD_OF" and one["traceID"] == own]
    links = tuple(one["traceID"] for one in references if one["traceID"] != own)
    return Span(service, each["operationName"], own, each["spanID"], parents[0] if parents else "", links)
