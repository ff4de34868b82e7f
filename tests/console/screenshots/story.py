"""What the pictures show: a shop with orders of every fate, messages that nobody can read, and an open refund."""

import httpx2

from fc.demo.shop import Customer, Shop
from fc.stack.local import Stack
from tests.kit.bus import opened_bus

UNREADABLE = (b'{"order_id":', b"{}", b'{"order_id": "seven"}')


class Story:
    """The orders, by what became of them."""

    def __init__(self, stack: Stack, shop: Shop, alice: Customer) -> None:
        self._stack = stack
        self._shop = shop
        self._alice = alice
        self.orders: dict[str, int] = {}

    async def tell(self) -> None:
        """Place the orders and let them end."""
        for fate in (self._completed, self._expired, self._due, self._late, self._wrong_amount, self._unpaid):
            order = await self._alice.checkout(await self._shop.product("Ceramic Mug"), 2)
            payment = await self._alice.invoice(order)
            await fate(order, payment["invoice_id"])
            self.orders[fate.__name__.strip("_")] = order
        await self._spoil()

    async def wait(self) -> None:
        """Place an order that has to wait for what is away."""
        self.orders["waiting"] = await self._alice.checkout(await self._shop.product("Desk Lamp"), 1)

    async def _completed(self, order: int, invoice: str) -> None:
        await self._shop.pay(invoice)
        await self._alice.wait_status(order, "completed")

    async def _expired(self, order: int, invoice: str) -> None:
        await self._shop.expire(invoice)
        await self._alice.wait_status(order, "cancelled")

    async def _due(self, order: int, invoice: str) -> None:
        await self._alice.cancel(order)
        await self._shop.live_invoices(order)
        await self._shop.pay_late(invoice)
        await self._alice.wait_status(order, "failed")
        await self._shop.refund_of(order)

    async def _late(self, order: int, invoice: str) -> None:
        await self._due(order, invoice)
        await self._shop.approve((await self._shop.refund_of(order))["id"])
        await self._alice.wait_refund(order, "SUCCEEDED")

    async def _wrong_amount(self, _order: int, invoice: str) -> None:
        async with httpx2.AsyncClient(timeout=10, trust_env=False) as http:
            url = f"{self._stack.layout.url('xendit')}/_sim/invoices/{invoice}/pay"
            (await http.post(url, json={"amount": 1000})).raise_for_status()

    async def _unpaid(self, order: int, invoice: str) -> None:
        """The customer has not paid yet."""

    async def _spoil(self) -> None:
        """Publish messages that become dead letters."""
        async with opened_bus(self._stack) as bus:
            for number, value in enumerate(UNREADABLE, 1):
                await bus.raw("payment.failed", f"order-{self.orders['unpaid']}".encode(), value)
                await bus.raw("stock.updated", f"order-{number}".encode(), value)
            await bus.dead_letter("stock.updated", UNREADABLE[-1])
