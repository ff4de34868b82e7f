"""Where traces are kept outside of the console: a Jaeger (version 2), asked by its API of OTLP in JSON, or nowhere."""

import json

import httpx2

from console.client import bounded
from console.client.admin_api import NoAnswer
from console.model.spans import Span, read_json


class Jaeger:
    """Asks for single traces: which of them link another one, it can't say. Raises NoAnswer."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/")

    async def trace(self, trace_id: str) -> list[Span]:
        """Return the spans of one trace that have arrived so far."""
        status, body = await bounded.read(self._http, "GET", f"{self._url}/api/v3/traces/{trace_id}")
        if status == 404:
            return []
        if status != 200:
            raise NoAnswer(f"it answers {status}")
        try:
            content = json.loads(body)
            return read_json(content.get("result", content))
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise NoAnswer(type(error).__name__) from None

    async def linking(self, trace_id: str) -> list[str]:  # noqa: ARG002 - as the ring has it
        return []

    async def newest(self, limit: int) -> list[list[Span]]:  # noqa: ARG002 - as the ring has it
        return []


class NoStore(Jaeger):
    """Stands for the store of traces where none is configured."""

    def __init__(self) -> None:
        """Know no address."""

    async def trace(self, trace_id: str) -> list[Span]:  # noqa: ARG002 - as a store has it
        """Raise NoAnswer."""
        raise NoAnswer("TRACES_URL names none")
