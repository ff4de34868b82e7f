"""`fc outbox --from services`: the lists of a service show only the first rows, so a row is named to it."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from console.client.admin_api import AdminApi
from fc.ops import outbox

from .conftest import Ended

Fc = Callable[[str], Ended]
RETRY = "outbox retry --service orderfc --from services --reason restored --id 900"


def row(number: int, state: str) -> dict[str, Any]:
    return {
        "id": number,
        "event_id": f"00000000-0000-4000-8000-{number:012}",
        "topic": "order.created",
        "key": f"order-{number}",
        "state": state,
        "created_at": "2026-11-25T08:30:00Z",
        "attempts": 12,
        "next_attempt_at": None,
        "parked_at": "2026-11-25T08:40:00Z",
        "last_error": "KafkaTimeoutError",
    }


class Orderfc:
    """An outbox with more rows than a list shows; row 900 is none of the first."""

    def __init__(self) -> None:
        self.answer = httpx2.Response(200, json=row(900, "parked"))
        self.retried: list[tuple[str, str]] = []
        self.cut = {"parked", "pending"}

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            self.retried.append((request.url.path, json.loads(request.content)["reason"]))
            return self.answer
        state = request.url.params["state"]
        rows = [row(1, "parked")] if state == "parked" else []
        return httpx2.Response(200, json={"items": rows, "next_after_id": 1 if state in self.cut else None})


@pytest.fixture
def orderfc(monkeypatch: pytest.MonkeyPatch) -> Orderfc:
    made = Orderfc()

    @asynccontextmanager
    async def api() -> AsyncIterator[AdminApi]:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(made)) as http:
            yield AdminApi(http, {"orderfc": "http://orderfc"}, "token")

    monkeypatch.setattr(outbox, "admin_api", api)
    return made


def test_a_row_behind_the_first_of_a_list_is_due_now(fc: Fc, orderfc: Orderfc) -> None:
    said = fc(f"{RETRY} --yes")
    assert said.code == 0, said.err
    assert orderfc.retried == [("/v1/admin/outbox/900/retry", "restored")]
    assert "order-900" in said.out
    assert "1 due now" in said.out + said.err


def test_a_dry_run_does_not_say_that_a_row_which_was_not_read_does_not_wait(fc: Fc, orderfc: Orderfc) -> None:
    said = fc(RETRY)
    assert (said.code, orderfc.retried) == (1, [])
    assert "row 900 of orderfc is not among those that were read" in said.err


@pytest.mark.parametrize(
    ("cut", "total"),
    [
        (set(), "0 pending, 1 parked"),
        ({"parked"}, "0 pending, at least 1 parked"),
        ({"pending"}, "at least 0 pending, 1 parked"),
    ],
)
def test_the_total_of_a_list_that_was_cut_is_the_least_there_is(
    fc: Fc, orderfc: Orderfc, cut: set[str], total: str
) -> None:
    orderfc.cut = cut
    said = fc("outbox ls --service orderfc --from services")
    assert said.code == 0, said.err
    assert total in (said.out + said.err).splitlines()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx2.Response(404, json={"error": "event not found"}), "refuses row 900: event not found"),
        (httpx2.Response(503, json={}), "orderfc did not answer: it answers 503"),
        (httpx2.Response(200, json=row(900, "published")), "neither is parked nor backs off"),
    ],
)
def test_what_the_service_does_not_do_is_said(fc: Fc, orderfc: Orderfc, answer: httpx2.Response, says: str) -> None:
    orderfc.answer = answer
    said = fc(f"{RETRY} --yes")
    assert said.code == 1
    assert says in said.err
