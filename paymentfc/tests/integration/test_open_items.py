"""What is open besides unpaid orders, as an administrator reads it for all orders at once."""

from typing import Any

import httpx2
import pytest

from .bench import Bench, bearer

KINDS = {"callbacks", "confirmations", "anomalies", "refunds", "closings"}


@pytest.fixture
def ask(bench: Bench, http: httpx2.AsyncClient) -> Any:
    headers = bearer(bench.settings, 9, "admin")

    async def get(path: str, expected: int = 200, **query: Any) -> Any:
        answer = await http.get(f"/v1/admin/payments/{path}", params=query, headers=headers)
        assert answer.status_code == expected, answer.text
        return answer.json()

    return get


async def test_what_is_open_of_each_kind_is_listed_with_its_order(bench: Bench, ask: Any) -> None:
    early = bench.new_id()
    await bench.receive(bench.about(await bench.order(), invoice_id="early", external_id=f"order-{early}"))
    wrong = await bench.invoiced()
    await bench.callback(wrong, amount=wrong.amount - 1)
    late = await bench.invoiced()
    await bench.callback(late, "EXPIRED")
    await bench.callback(late)
    rejected = await bench.invoiced()
    await bench.rejected(rejected.order_id)
    asked = await bench.invoiced()
    await bench.receive(bench.about(asked))

    items = await ask("open-items")
    assert set(items) == KINDS
    assert [row["external_id"] for row in items["callbacks"]] == [f"order-{early}"]
    assert asked.external_id in {row["external_id"] for row in items["confirmations"]}
    by_order = {row["order_id"]: row for row in items["anomalies"]}
    held = by_order[wrong.order_id]
    assert (held["kind"], held["holds"], held["has_refund"]) == ("amount_mismatch", True, False)
    assert held["expires_at"]
    taken = by_order[late.order_id]
    assert (taken["kind"], taken["holds"], taken["has_refund"]) == ("paid_after_close", False, True)
    [refund] = items["refunds"]
    assert (refund["order_id"], refund["status"], refund["requested_at"]) == (late.order_id, "DUE", None)
    assert {row["external_id"] for row in items["closings"]} >= {rejected.external_id}


async def test_what_is_done_is_not_open(bench: Bench, ask: Any) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment)
    wrong = await bench.invoiced()
    await bench.callback(wrong, amount=wrong.amount - 1)
    await bench.execute("UPDATE payment_anomalies SET resolved_at = now()")
    assert await ask("open-items") == {kind: [] for kind in KINDS}


async def test_the_oldest_come_first_and_no_more_than_asked_for(bench: Bench, ask: Any) -> None:
    payments = [await bench.invoiced() for _ in range(4)]
    for payment in payments:
        await bench.callback(payment, amount=payment.amount - 1)
    rows = (await ask("open-items", limit=3))["anomalies"]
    assert [row["order_id"] for row in rows] == [payment.order_id for payment in payments[:3]]
    for query in ("0", "101", "x"):
        await ask("open-items", 400, limit=query)


async def test_an_open_payment_that_waits_says_what_it_can_be_paid_by_and_what_holds_it(bench: Bench, ask: Any) -> None:
    free, held = await bench.invoiced(), await bench.invoiced()
    await bench.callback(held, amount=held.amount - 1)
    await bench.execute("UPDATE payment_anomalies SET resolved_at = now()")
    rows = {row["order_id"]: row for row in (await ask("waiting", step="customer"))["items"]}
    assert rows[free.order_id]["wrong_money"] is None
    assert rows[free.order_id]["invoice_url"]
    assert rows[free.order_id]["invoice_time"]
    money = rows[held.order_id]["wrong_money"]
    assert (money["kind"], money["received"], bool(money["resolved_at"])) == ("amount_mismatch", "149999", True)


async def test_open_items_are_for_administrators_only(bench: Bench, http: httpx2.AsyncClient) -> None:
    path = "/v1/admin/payments/open-items"
    assert (await http.get(path)).status_code == 401
    assert (await http.get(path, headers=bearer(bench.settings, 3))).status_code == 403
