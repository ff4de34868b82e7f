"""Each change by an administrator is on record: who, from where, and what was there before and after."""

import json
from ipaddress import ip_network
from typing import Any

import asyncpg
import pytest

from productfc.repository import admin_actions

from .conftest import Shop

ACTIONS = """
SELECT action, admin_id, admin_email, address, subject_id, before::text AS before, after::text AS after
FROM admin_actions WHERE subject_id = $1 AND action LIKE $2 ORDER BY id
"""


async def actions(shop: Shop, kind: str, subject_id: int) -> list[dict[str, Any]]:
    async with shop.db.driver() as connection:
        rows = [dict(row) for row in await connection.fetch(ACTIONS, subject_id, f"admin.{kind}%")]
    return [row | {"before": json.loads(row["before"]), "after": json.loads(row["after"])} for row in rows]


async def test_a_change_of_price_and_stock_names_both_values_and_who_made_it(shop: Shop) -> None:
    product = await shop.product(name="Kopi", price=1000, stock=5)
    change = {"price": 2500, "stock": 8, "name": "Kopi"}
    url = f"/v1/products/{product}"
    assert (await shop.http.put(url, json=change, headers=shop.token())).status_code == 200
    created, changed = await actions(shop, "product", product)
    assert (created["action"], created["before"]) == ("admin.product_created", {})
    assert (created["after"]["price"], created["after"]["stock"]) == ("1000", 5)
    assert changed == {
        "action": "admin.product_changed",
        "admin_id": 1,
        "admin_email": "a@example.com",
        "address": "127.0.0.1",
        "subject_id": product,
        "before": {"price": "1000.00", "stock": 5},
        "after": {"price": "2500", "stock": 8},
    }


async def test_a_deletion_names_what_was_deleted(shop: Shop) -> None:
    product = await shop.product(name="Teh", price=1000, stock=5)
    assert (await shop.http.delete(f"/v1/products/{product}", headers=shop.token())).status_code == 200
    deleted = (await actions(shop, "product", product))[-1]
    assert (deleted["action"], deleted["after"]) == ("admin.product_deleted", {})
    assert (deleted["before"]["name"], deleted["before"]["price"], deleted["before"]["stock"]) == ("Teh", "1000.00", 5)


async def test_a_category_has_its_actions_too(shop: Shop) -> None:
    category = await shop.category("Actions")
    url = f"/v1/products/categories/{category}"
    assert (await shop.http.put(url, json={"name": "Deeds"}, headers=shop.token())).status_code == 200
    assert (await shop.http.delete(url, headers=shop.token())).status_code == 200
    found = [(row["action"], row["before"], row["after"]) for row in await actions(shop, "category", category)]
    assert found == [
        ("admin.category_created", {}, {"name": "Actions"}),
        ("admin.category_changed", {"name": "Actions"}, {"name": "Deeds"}),
        ("admin.category_deleted", {"name": "Deeds"}, {}),
    ]


async def test_what_is_refused_or_changes_nothing_is_no_action(shop: Shop) -> None:
    product = await shop.product(price=1000)
    url = f"/v1/products/{product}"
    for body in ({"price": 1000}, {"price": 10**12}, {"category_id": 2**40}):
        await shop.http.put(url, json=body, headers=shop.token())
    assert (await shop.http.put(url, json={"price": 1}, headers=shop.token("user"))).status_code == 403
    assert [row["action"] for row in await actions(shop, "product", product)] == ["admin.product_created"]


async def test_the_address_is_the_clients_behind_a_trusted_proxy(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    product = await shop.product()
    headers = shop.token() | {"x-forwarded-for": "198.51.100.9, 203.0.113.7:4711"}
    url = f"/v1/products/{product}"
    assert (await shop.http.put(url, json={"stock": 6}, headers=headers)).status_code == 200
    trusted = shop.settings.model_copy(update={"trusted_proxies": (ip_network("127.0.0.0/8"),)})
    monkeypatch.setattr(shop.app.state, "settings", trusted)
    assert (await shop.http.put(url, json={"stock": 7}, headers=headers)).status_code == 200
    addresses = [row["address"] for row in await actions(shop, "product_changed", product)]
    assert addresses == ["127.0.0.1", "203.0.113.7"]


@pytest.mark.parametrize("statement", ["UPDATE admin_actions SET admin_id = 2", "DELETE FROM admin_actions"])
async def test_an_action_can_be_neither_changed_nor_deleted(shop: Shop, statement: str) -> None:
    product = await shop.product()
    with pytest.raises(asyncpg.RaiseError, match="admin_actions is append only"):
        await shop.value(f"{statement} WHERE subject_id = $1", product)


async def test_actions_go_after_the_configured_days(shop: Shop) -> None:
    insert = """
    INSERT INTO admin_actions (action, admin_id, admin_email, address, subject_id, before, after, created_at)
    VALUES ('admin.product_changed', 1, '', '', $1, '{}', '{}', now() - $2 * interval '1 day')
    """
    days = shop.settings.admin_action_keep_days
    old, older, young = 2**50, 2**50 + 1, 2**50 + 2
    for subject, age in ((old, days + 1), (older, days + 2), (young, days - 1)):
        await shop.value(insert, subject, age)
    async with shop.db.driver() as connection:
        counts = [await admin_actions.purge(connection, 1, days=days) for _ in range(3)]
    assert counts == [1, 1, 0]
    assert [len(await actions(shop, "product", subject)) for subject in (old, older, young)] == [0, 0, 1]
