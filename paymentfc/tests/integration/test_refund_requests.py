"""Refunds that an administrator asks for: in parts up to what was paid, once for a key, listed, and shown."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from chassis.config.settings import load
from chassis.db.database import Database
from paymentfc.config import Settings
from paymentfc.repository.refunds import LISTED

from .bench import Bench, bearer
from .refund_steps import ask, paid
from .test_refunds import SETTLE, SHOWN, due


@pytest.fixture
def admin(bench: Bench) -> dict[str, str]:
    """The header of an administrator."""
    return bearer(bench.settings, 9, "admin")


async def test_parts_add_up_to_what_was_paid_and_no_further(
    bench: Bench, http: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    payment = await paid(bench)
    first = await ask(http, admin, payment.order_id, amount=50_000)
    assert first.status_code == 201
    assert {name: first.json()[name] for name in ("order_id", "amount", "cause", "status", "note")} == {
        "order_id": payment.order_id,
        "amount": 50_000,
        "cause": "requested",
        "status": "DUE",
        "note": "broken",
    }
    too_much = await ask(http, admin, payment.order_id, amount=100_001)
    assert (too_much.status_code, too_much.json()["code"]) == (409, "not_refundable")
    assert "at most 100000" in too_much.json()["error"]
    rest = await ask(http, admin, payment.order_id)
    assert (rest.status_code, rest.json()["amount"]) == (201, 100_000)
    assert (await ask(http, admin, payment.order_id)).status_code == 409
    assert (await ask(http, admin, payment.order_id, amount=1)).status_code == 409


async def test_requests_at_the_same_time_do_not_give_back_more_than_was_paid(
    bench: Bench, http: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    payment = await paid(bench)
    answers = await asyncio.gather(*(ask(http, admin, payment.order_id, amount=60_000) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409]


async def test_the_same_key_is_one_refund_and_another_request_with_it_is_refused(
    bench: Bench, http: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    payment, other = await paid(bench), await paid(bench)
    made = await asyncio.gather(*(ask(http, admin, payment.order_id, "k", amount=100_000) for _ in range(4)))
    again = await ask(http, admin, payment.order_id, '"k"', amount=100_000.0)
    assert {answer.status_code for answer in (*made, again)} == {201}
    assert {answer.json()["id"] for answer in (*made, again)} == {made[0].json()["id"]}
    for order_id, amount in ((payment.order_id, 1), (other.order_id, 100_000)):
        refused = await ask(http, admin, order_id, "k", amount=amount)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    # A key is an administrator's own.
    theirs = await ask(http, bearer(bench.settings, 10, "admin"), other.order_id, "k", amount=100_000)
    assert theirs.status_code == 201


@pytest.mark.parametrize(
    "body", [{"amount": 0}, {"amount": -1}, {"amount": 0.5}, {"amount": "1"}, {"reason": " "}, {"reason": None}]
)
async def test_an_invalid_request_is_400(
    bench: Bench, http: httpx2.AsyncClient, admin: dict[str, str], body: dict[str, Any]
) -> None:
    payment = await paid(bench)
    assert (await ask(http, admin, payment.order_id, **body)).status_code == 400
    assert await bench.rows(SHOWN, payment.order_id) == []


async def test_only_a_paid_order_is_refunded_by_an_administrator_with_a_key(
    bench: Bench, http: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    payment = await bench.invoiced()
    assert (await ask(http, admin, payment.order_id)).status_code == 409
    assert (await ask(http, admin, 2**62)).status_code == 404
    await bench.callback(payment)
    url, body = f"/v1/payments/{payment.order_id}/refund", {"reason": "broken"}
    assert (await http.post(url, headers=admin, json=body)).status_code == 400
    assert (await ask(http, bearer(bench.settings, 3), payment.order_id)).status_code == 403
    assert await bench.rows(SHOWN, payment.order_id) == []


@pytest.mark.parametrize(("part", "left"), [(50_000, [due("stock_rejected", 100_000)]), (150_000, [])])
async def test_what_an_administrator_gives_back_already_is_not_due_again(
    bench: Bench, http: httpx2.AsyncClient, admin: dict[str, str], part: int, left: list[dict[str, Any]]
) -> None:
    payment = await paid(bench)
    await ask(http, admin, payment.order_id, amount=part)
    await bench.rejected(payment.order_id)
    assert await bench.rows(SHOWN, payment.order_id) == [due("requested", part), *left]


async def test_refunds_are_listed_newest_first_by_status_and_order(
    bench: Bench, http: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    first, second = await paid(bench), await paid(bench)
    ids = [(await ask(http, admin, payment.order_id, amount=1)).json()["id"] for payment in (first, second, first)]
    await http.post(SETTLE.format(ids[0]), headers=admin, json={"note": "x"})

    async def listed(query: str) -> list[int]:
        answer = (await http.get(f"/v1/payments/refunds?{query}", headers=admin)).json()
        assert answer["total"] == len(answer["items"])
        return [row["id"] for row in answer["items"]]

    assert await listed("") == ids[::-1]
    assert await listed("status=DUE") == [ids[2], ids[1]]
    assert await listed(f"order_id={first.order_id}") == [ids[2], ids[0]]
    assert await listed(f"status=SETTLED&order_id={second.order_id}") == []
    for query in ("status=due", "order_id=0", "page=0"):
        assert (await http.get(f"/v1/payments/refunds?{query}", headers=admin)).status_code == 400
    assert (await http.get("/v1/payments/refunds", headers=bearer(bench.settings, 3))).status_code == 403


@pytest.mark.parametrize(
    ("filters", "index"), [((True, False), "ix_refunds_status"), ((False, True), "ix_refunds_order_id")]
)
async def test_a_list_with_a_filter_is_read_along_its_index(
    make_database: Callable[[str], Awaitable[dict[str, Any]]], filters: tuple[bool, bool], index: str
) -> None:
    """Also the plan that is made for any value while the table is empty."""
    statements = (f"SELECT count(*) {LISTED[filters]}", f"SELECT id {LISTED[filters]} ORDER BY id DESC LIMIT 20")
    db = Database(load(Settings, **await make_database("paymentfc")))
    async with db.driver() as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        for number, statement in enumerate(statements):
            await connection.execute(f"PREPARE listed{number} AS {statement}")
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE listed{number}(NULL)"))
            assert f" {index} " in plan, plan
            assert "Index Cond" in plan, plan
            assert "Seq Scan" not in plan, plan
    await db.close()


async def test_the_owner_sees_what_is_given_back(bench: Bench, http: httpx2.AsyncClient, admin: dict[str, str]) -> None:
    payment = await paid(bench)

    async def shown() -> Any:
        url = f"/v1/payments/{payment.order_id}"
        return (await http.get(url, headers=bearer(bench.settings, 3))).json()["refund"]

    assert await shown() is None
    made = [(await ask(http, admin, payment.order_id, amount=amount)).json()["id"] for amount in (50_000, 25_000)]
    for number, status in enumerate(("DUE", "SETTLED")):
        await http.post(SETTLE.format(made[number]), headers=admin, json={"note": "x"})
        assert await shown() == {"status": status, "amount": 75_000}
