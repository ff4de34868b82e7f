"""What explains the stock of an order and of a product, for an administrator."""

from typing import Any

from .conftest import Shop, new_order


async def ask(shop: Shop, path: str, status: int = 200) -> Any:
    answer = await shop.http.get(f"/v1/admin/{path}", headers=shop.token())
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_the_ledger_of_an_order_shows_what_it_holds_and_what_was_given_back(shop: Shop) -> None:
    first, second, order_id = await shop.product(), await shop.product(), new_order()
    assert await ask(shop, f"stock/orders/{order_id}") == {"order_id": order_id, "rows": []}
    await shop.deliver("stock.updated", order_id, [(second, 2), (first, 1)])
    rows = (await ask(shop, f"stock/orders/{order_id}"))["rows"]
    held = [(row["product_id"], row["quantity"], row["state"]) for row in rows]
    assert held == [(first, 1, "TAKEN"), (second, 2, "TAKEN")]
    await shop.deliver("stock.rollback", order_id, [])
    again = (await ask(shop, f"stock/orders/{order_id}"))["rows"]
    assert [row["state"] for row in again] == ["RELEASED", "RELEASED"]
    assert {row["event_id"] for row in again}.isdisjoint({row["event_id"] for row in rows})


async def test_a_product_shows_its_free_stock_and_its_adjustments_newest_first_also_off_sale(shop: Shop) -> None:
    product = await shop.product(name="Kopi", stock=5)
    await shop.product(stock=3)
    url = f"/v1/products/{product}"
    await shop.http.put(url, json={"stock": 8}, headers=shop.token())
    await shop.deliver("stock.updated", new_order(), [(product, 6)])
    shown = await ask(shop, f"stock/products/{product}")
    assert (shown["name"], shown["stock"], shown["deleted_at"]) == ("Kopi", 2, None)
    assert [(row["units"], row["cause"]) for row in shown["adjustments"]] == [(3, "set"), (5, "created")]
    await shop.http.delete(url, headers=shop.token())
    assert (await ask(shop, f"stock/products/{product}"))["deleted_at"] is not None
    await ask(shop, "stock/products/999999999", 404)


async def test_only_the_last_hundred_adjustments_are_shown(shop: Shop) -> None:
    product = await shop.product()
    await shop.value(
        "INSERT INTO stock_adjustments (product_id, units, cause) SELECT $1, n, 'set' FROM generate_series(1, 150) n",
        product,
    )
    shown = (await ask(shop, f"stock/products/{product}"))["adjustments"]
    assert [row["units"] for row in shown] == list(range(150, 50, -1))


async def test_an_event_of_the_outbox_that_is_sent_again_is_on_record_with_who_and_why(shop: Shop) -> None:
    order_id = new_order()
    await shop.deliver("stock.updated", order_id, [(await shop.product(stock=1), 2)])
    row_id = await shop.value(
        "UPDATE outbox SET next_attempt_at = now() + interval '1 h' WHERE key = $1 RETURNING id", f"order-{order_id}"
    )
    url, body = f"/v1/admin/outbox/{row_id}/retry", {"reason": "the broker is back"}
    assert (await shop.http.post(url, json=body, headers=shop.token())).status_code == 200
    kept = await shop.value(
        "SELECT concat_ws(' ', admin_id, admin_email, address, before->>'topic', before->>'key', after->>'reason')"
        " FROM admin_actions WHERE action = 'admin.event_retried' AND subject_id = $1",
        row_id,
    )
    assert kept == f"1 a@example.com 127.0.0.1 stock.rejected order-{order_id} the broker is back"
