"""Where traces are kept outside of the console: a Jaeger (version 2), asked by its API of OTLP in JSON, or nowhere."""

import httpx2

from console.client.admin_api import NoAnswer
from console.model.spans import Span, read_json

TIMEOUT_S = 2.0
MAX_BYTES = 20 * 1024 * 1024


class Jaeger:
    """Asks for single traces: which of them link another one, it can't say. Raises NoAnswer."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/")

    async def trace(self, trace_id: str) -> list[Span]:
        """Return the spans of one trace that have arrived so far."""
        try:
            answer = await self._http.get(f"{self._url}/api/v3/traces/{trace_id}", timeout=TIMEOUT_S)
            if answer.status_code == 404:
                return []
            if answer.status_code != 200 or len(answer.content) > MAX_BYTES:
                raise NoAnswer(f"it answers {answer.status_code}, {len(answer.content):,} bytes")
            content = answer.json()
            return read_json(content.get("result", content))
        except httpx2.TimeoutException:
            raise NoAnswer(f"no answer in {TIMEOUT_S:g} s") from None
        except (httpx2.HTTPError, ValueError, KeyError, AttributeError, TypeError) as error:
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
