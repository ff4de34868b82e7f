"""Products and stock as the databases of productfc hold them."""

from typing import Any

import httpx2

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena


async def change_product(arena: Arena, product: dict[str, Any], **fields: Any) -> httpx2.Response:
    """Change a product as an administrator; without a field it is taken off sale."""
    admin = (await arena.shop.login("admin")).headers
    url = f"{arena.stack.layout.url('productfc')}/v1/products/{product['id']}"
    if not fields:
        return await arena.client.delete(url, headers=admin)
    return await arena.client.put(url, headers=admin, json=fields)


async def stock_of(arena: Arena, product: dict[str, Any]) -> int:
    """Read the free stock from the database, which also has products that are off sale."""
    rows = await arena.sql("productfc", "SELECT stock FROM products WHERE id = $1", product["id"])
    return int(rows[0]["stock"])


async def ledger(arena: Arena, order: int) -> dict[int, tuple[int, str]]:
    """Read the stock ledger of an order: product id -> (quantity, state)."""
    rows = await arena.sql(
        "productfc", "SELECT product_id, quantity, state FROM stock_ledger WHERE order_id = $1", order
    )
    return {int(row["product_id"]): (int(row["quantity"]), str(row["state"])) for row in rows}


async def wait_ledger(arena: Arena, order: int, state: str, lines: int = 1) -> None:
    """Wait until the ledger of an order has so many lines, all in one state."""

    async def reached() -> bool:
        return [line_state for _, line_state in (await ledger(arena, order)).values()] == [state] * lines

    await poll(reached, f"the ledger says {state} of order {order}", 40, 0.02)
