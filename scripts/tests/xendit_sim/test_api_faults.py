"""Operations that fail, before or after they are done, and error bodies that lack something, each by its switch."""

import httpx2
import pytest

from .conftest import Sim

UNKNOWN = "6748105a77f16ebe0cc583a7"


async def operation(sim: Sim, name: str, invoice_id: str) -> httpx2.Response:
    """Call one of the four operations of the simulated API."""
    calls = {
        "create_status": ("POST", "/v2/invoices"),
        "list_status": ("GET", "/v2/invoices"),
        "get_status": ("GET", f"/v2/invoices/{invoice_id}"),
        "expire_status": ("POST", f"/invoices/{invoice_id}/expire!"),
    }
    method, path = calls[name]
    return await sim.http.request(method, path, json={"external_id": "order-8", "amount": 5})


@pytest.mark.parametrize("name", ["create_status", "get_status", "list_status", "expire_status"])
async def test_an_operation_fails_with_a_status_for_so_many_times_and_does_nothing_then(sim: Sim, name: str) -> None:
    made = await sim.create()
    await sim.faults(**{name: {"status": 503, "times": 2}})
    answers = [await operation(sim, name, made["id"]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].json()["error_code"] == "SERVER_ERROR"
    assert (await sim.http.get("/_sim/stats")).json()["invoices"]["PENDING"] == 1
    assert (await operation(sim, name, made["id"])).status_code == 200


@pytest.mark.parametrize("name", ["create_status", "get_status", "list_status", "expire_status"])
async def test_a_bare_status_lasts_until_it_is_switched_off_and_hits_no_other_operation(sim: Sim, name: str) -> None:
    made = await sim.create()
    await sim.faults(**{name: 500})
    for other in ("create_status", "get_status", "list_status", "expire_status"):
        for _ in range(2 if other == name else 1):
            answer = await operation(sim, other, made["id"])
            assert answer.status_code == (500 if other == name else 200), other
    await sim.faults()
    assert (await operation(sim, name, (await sim.create())["id"])).status_code == 200


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "API_VALIDATION_ERROR"),
        (401, "INVALID_API_KEY"),
        (403, "REQUEST_FORBIDDEN_ERROR"),
        (404, "INVOICE_NOT_FOUND_ERROR"),
        (429, "RATE_LIMIT_EXCEEDED"),
        (500, "SERVER_ERROR"),
        (599, "SERVER_ERROR"),
    ],
)
async def test_a_status_brings_the_code_that_xendit_would_send(sim: Sim, status: int, code: str) -> None:
    await sim.faults(create_status=status)
    answer = await operation(sim, "create_status", "")
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


async def test_a_create_can_fail_after_it_was_done(sim: Sim) -> None:
    await sim.faults(create_fails_after_commit=1)
    answer = await operation(sim, "create_status", "")
    assert (answer.status_code, answer.json()["error_code"]) == (500, "SERVER_ERROR")
    (found,) = (await sim.http.get("/v2/invoices", params={"external_id": "order-8"})).json()
    assert found["status"] == "PENDING"
    assert (await operation(sim, "create_status", "")).status_code == 200


async def test_error_bodies_can_lack_their_message(sim: Sim) -> None:
    await sim.faults(error_without_message=True)
    assert (await sim.http.get(f"/v2/invoices/{UNKNOWN}")).json() == {"error_code": "INVOICE_NOT_FOUND_ERROR"}
    refused = (await sim.http.post("/v2/invoices", json={"external_id": "x"})).json()
    assert set(refused) == {"error_code", "errors"}


async def test_amounts_beyond_set_limits_are_refused_with_codes_of_their_own(sim: Sim) -> None:
    await sim.faults(min_amount=10_000, max_amount=1e9)
    for amount, code in ((9_999, "MINIMAL_TRANSFER_AMOUNT_ERROR"), (1_000_000_001, "MAXIMUM_TRANSFER_AMOUNT_ERROR")):
        answer = await sim.http.post("/v2/invoices", json={"external_id": "x", "amount": amount})
        assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    await sim.create(amount=10_000)
    await sim.create(amount=10**9)
