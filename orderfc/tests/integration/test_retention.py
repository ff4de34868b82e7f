"""What an order holds of a person is erased when its time is over, and nothing else changes."""

from orderfc.config import Settings
from orderfc.model import Status
from orderfc.repository import orders

from .conftest import Shop, body


async def erase(shop: Shop, limit: int, days: int) -> int:
    async with shop.db.driver() as connection:
        return await orders.erase_addresses(connection, limit, days=days)


async def make_older(shop: Shop, order_id: int, days: int, status: Status) -> None:
    sql = "UPDATE orders SET status = $3, created_at = now() - $2 * interval '1 day' WHERE id = $1"
    await shop.value(sql, order_id, days, int(status))


async def test_a_closed_order_loses_its_address_after_the_configured_days_and_keeps_the_rest(
    shop: Shop, settings: Settings
) -> None:
    days = settings.order_address_keep_days
    user = shop.user()
    placed = [(await shop.checkout(user, body())).json()["order_id"] for _ in range(4)]
    still_open, old, older, young = placed
    await make_older(shop, still_open, days + 9, Status.CREATED)
    await make_older(shop, old, days + 1, Status.COMPLETED)
    await make_older(shop, older, days + 2, Status.CANCELLED)
    await make_older(shop, young, days - 1, Status.COMPLETED)
    before = await shop.order(user, old)
    assert [await erase(shop, 1, days) for _ in range(3)] == [1, 1, 0], "the open order stops no batch"
    addresses = {order: (await shop.order(user, order))["shipping_address"] for order in placed}
    kept = before["shipping_address"]
    assert addresses == {still_open: kept, old: "erased", older: "erased", young: kept}
    assert await shop.order(user, old) == before | {"shipping_address": "erased"}
