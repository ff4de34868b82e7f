"""Reads traces from Jaeger's HTTP API."""

from dataclasses import dataclass
from typing import Any

import httpx2

QUERY = "http://localhost:16686"


@dataclass(frozen=True)
class Span:
    """One span; ids as hex digits, `parent_id` is "" for a root, `links` are trace ids."""

    service: str
    name: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]


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
    return Span(service, each["operationName"], each["spanID"], parents[0] if parents else "", links)
