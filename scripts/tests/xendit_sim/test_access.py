"""Authentication, the answer to a wrong key, and the rate headers on every answer."""

import base64

import httpx2
import pytest

from .conftest import KEY, Sim

CALLS = [
    ("POST", "/v2/invoices"),
    ("GET", "/v2/invoices"),
    ("GET", "/v2/invoices/6748105a77f16ebe0cc583a7"),
    ("POST", "/invoices/6748105a77f16ebe0cc583a7/expire!"),
]
RATES = {"rate-limit-limit", "rate-limit-remaining", "rate-limit-reset", "request-id"}


def basic(text: str) -> str:
    """Write a header of Basic authentication."""
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "header",
    [
        None,
        basic("xnd_wrong:"),
        basic(f"{KEY}:password"),
        basic(KEY),
        basic(":"),
        f"Bearer {KEY}",
        "Basic !",
        "Basic /w==",
    ],
)
async def test_without_the_key_every_operation_is_401_in_xendits_words(
    anonymous: httpx2.AsyncClient, method: str, path: str, header: str | None
) -> None:
    answer = await anonymous.request(method, path, headers={"authorization": header} if header else {}, content=b"{}")
    assert answer.status_code == 401
    assert answer.json() == {
        "error_code": "INVALID_API_KEY",
        "message": "The API key provided is invalid. Please make sure to use the secret/public API key that you can "
        "obtain from the Xendit Dashboard. See https://developers.xendit.co/api-reference/#authentication for more "
        "details",
    }
    assert set(answer.headers) >= RATES


async def test_a_stranger_changes_nothing(sim: Sim, anonymous: httpx2.AsyncClient) -> None:
    made = await sim.create()
    await anonymous.post("/v2/invoices", json={"external_id": "x", "amount": 5})
    await anonymous.post(f"/invoices/{made['id']}/expire!")
    assert (await sim.http.get("/v2/invoices")).json() == [made]


async def test_the_key_is_enough_whatever_the_case_of_the_scheme(anonymous: httpx2.AsyncClient) -> None:
    headers = {"authorization": basic(f"{KEY}:").replace("Basic", "basic")}
    assert (await anonymous.get("/v2/invoices", headers=headers)).status_code == 200


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_rate_headers_are_on_every_answer_good_or_bad(sim: Sim, method: str, path: str) -> None:
    answers = [await sim.http.request(method, path, content=b"{}") for _ in range(3)]
    assert [answer.headers["rate-limit-limit"] for answer in answers] == ["600"] * 3
    assert [answer.headers["rate-limit-remaining"] for answer in answers] == ["599", "598", "597"]
    assert answers[0].headers["rate-limit-reset"] == "60.00"
    assert len({answer.headers["request-id"] for answer in answers}) == 3


async def test_each_operation_has_a_window_of_its_own_that_slides_by_the_clock(sim: Sim) -> None:
    async def headers(path: str) -> tuple[str, str]:
        answer = await sim.http.get(path)
        return answer.headers["rate-limit-remaining"], answer.headers["rate-limit-reset"]

    assert await headers("/v2/invoices") == ("599", "60.00")
    sim.clock.advance(40)
    assert await headers("/v2/invoices") == ("598", "20.00")
    assert await headers("/v2/invoices/x") == ("599", "60.00")
    sim.clock.advance(20)
    assert await headers("/v2/invoices") == ("598", "40.00")


async def test_by_default_no_rate_is_enforced(sim: Sim) -> None:
    answers = [await sim.http.get("/v2/invoices/x") for _ in range(601)]
    assert answers[-1].status_code == 404
    assert answers[-1].headers["rate-limit-remaining"] == "0"


async def test_a_rate_limit_refuses_what_is_over_it_until_the_minute_has_passed(sim: Sim) -> None:
    await sim.http.get("/v2/invoices")
    await sim.faults(rate_limit=2)
    answers = [await sim.http.get("/v2/invoices") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert answers[2].json()["error_code"] == "RATE_LIMIT_EXCEEDED"
    assert answers[2].headers["rate-limit-limit"] == "2"
    assert answers[2].headers["rate-limit-remaining"] == "0"
    assert (await sim.http.post("/v2/invoices", json={"external_id": "x", "amount": 5})).status_code == 200
    sim.clock.advance(60)
    assert (await sim.http.get("/v2/invoices")).status_code == 200


async def test_a_call_that_was_refused_does_not_count(sim: Sim) -> None:
    await sim.faults(rate_limit=1)
    statuses = []
    for _ in range(3):
        statuses.append((await sim.http.get("/v2/invoices")).status_code)
        sim.clock.advance(30)
    assert statuses == [200, 429, 200]


async def test_ping_needs_no_key(anonymous: httpx2.AsyncClient) -> None:
    answer = await anonymous.get("/ping")
    assert (answer.status_code, answer.json()) == (200, {"message": "pong"})
