"""The admin API of the services, asked with the person's own token: each service decides for itself."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx2

TIMEOUT_S = 2.0
# The most unsent events of one order.
MAX_UNSENT = 100
# The most entries of the audit log of one order.
MAX_ENTRIES = 100
# The rows of one page of a list.
MAX_PAGE = 100
# The most identities in one request about an inbox.
MAX_IDENTITIES = 100


class NoAnswer(Exception):
    """A source did not answer, or not as it should; the text says how."""


class Refused(Exception):
    """A service does not accept the person's token (401), or the person has no right (403)."""

    def __init__(self, service: str, status: int) -> None:
        super().__init__(f"{service} answers {status}")
        self.status = status


class AdminApi:
    """Asks each service within TIMEOUT_S. Raises NoAnswer and Refused."""

    def __init__(self, http: httpx2.AsyncClient, urls: Mapping[str, str], token: str) -> None:
        self._http = http
        self._urls = urls
        self._headers = {"Authorization": f"Bearer {token}"}

    async def order(self, order_id: int) -> Any | None:
        return await self.get("orderfc", f"orders/{order_id}")

    async def dossier(self, order_id: int) -> Any | None:
        return await self.get("paymentfc", f"payments/orders/{order_id}")

    async def stock(self, order_id: int) -> list[dict[str, Any]]:
        found = await self.get("productfc", f"stock/orders/{order_id}")
        return list(found["rows"]) if found else []

    async def unsent(self, service: str, order_id: int) -> list[dict[str, Any]]:
        """List the events about an order that have not left the outbox of a service."""
        found = await self.get(service, "outbox", key=f"order-{order_id}", limit=MAX_UNSENT)
        return list(found["items"]) if found else []

    async def applied(self, service: str, identities: Sequence[UUID]) -> dict[tuple[str, UUID], datetime]:
        """Return when a service has applied events, by service and identity."""
        result: dict[tuple[str, UUID], datetime] = {}
        for begin in range(0, len(identities), MAX_IDENTITIES):
            ids = ",".join(map(str, identities[begin : begin + MAX_IDENTITIES]))
            found = await self.get(service, "inbox", event_ids=ids)
            for row in found["items"] if found else ():
                result[service, UUID(row["event_id"])] = datetime.fromisoformat(row["received_at"])
        return result

    async def audit_log(self, order_id: int) -> list[dict[str, Any]]:
        """List what was recorded about the payment of an order, the newest MAX_ENTRIES, oldest first."""
        found = await self.get("paymentfc", "/v1/payments/audit-logs", order_id=order_id, page_size=MAX_ENTRIES)
        return list(reversed(found["items"])) if found else []

    async def get(self, service: str, path: str, **query: Any) -> Any | None:
        """Return the JSON of an answer, None for 404. Parameters that are None are left out.

        A path is one of the admin API, or a whole one that begins with `/`.
        """
        given = {name: value for name, value in query.items() if value is not None}
        status, found = await self._ask(service, "GET", path, params=given)
        if status >= 400 and status != 404:
            raise NoAnswer(f"it answers {status}")
        return None if status == 404 else found

    async def pages(self, service: str, path: str, place: str, most: int, **query: Any) -> tuple[list[Any], bool]:
        """Read up to `most` pages of a list that goes on from `place`; and whether there are more."""
        items: list[Any] = []
        following = None
        for _ in range(most):
            found = await self.get(service, path, limit=MAX_PAGE, **{place: following}, **query)
            items += found["items"] if found else []
            following = found and found[f"next_{place}"]
            if following is None:
                return items, False
        return items, True

    async def post(self, service: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Return status and JSON of an action's answer: done, or refused with a sentence in `error`."""
        return await self._ask(service, "POST", path, json=body)

    async def file(self, service: str, path: str) -> bytes | None:
        """Return the content of a file, None for 404."""
        answer = await self._send(service, "GET", path)
        if answer.status_code not in (200, 404):
            raise NoAnswer(f"it answers {answer.status_code}")
        return answer.content if answer.status_code == 200 else None

    async def _ask(self, service: str, method: str, path: str, **sent: Any) -> tuple[int, Any]:
        answer = await self._send(service, method, path, **sent)
        try:
            return answer.status_code, answer.json()
        except ValueError as error:
            raise NoAnswer(type(error).__name__) from None

    async def _send(self, service: str, method: str, path: str, **sent: Any) -> httpx2.Response:
        url = f"{self._urls[service]}{quote(path if path.startswith('/') else f'/v1/admin/{path}')}"
        try:
            answer = await self._http.request(method, url, headers=self._headers, timeout=TIMEOUT_S, **sent)
        except httpx2.TimeoutException:
            raise NoAnswer(f"no answer in {TIMEOUT_S:g} s") from None
        except httpx2.HTTPError as error:
            raise NoAnswer(type(error).__name__) from None
        if answer.status_code in (401, 403):
            raise Refused(service, answer.status_code)
        if answer.status_code >= 500:
            raise NoAnswer(f"it answers {answer.status_code}")
        return answer
