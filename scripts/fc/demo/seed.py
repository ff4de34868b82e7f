"""`fc seed`: two customers and twenty products in four categories; may be repeated at any time."""

from typing import Any

import httpx2

from fc.stack.accounts import Accounts
from fc.stack.errors import StackError

CATALOGUE: dict[str, list[tuple[str, int, int]]] = {
    "Kitchen": [
        ("Ceramic Mug", 45_000, 1_000),
        ("Cast Iron Pan", 320_000, 60),
        ("Chef's Knife", 410_000, 40),
        ("Bamboo Cutting Board", 95_000, 150),
        ("Glass Teapot", 185_000, 75),
    ],
    "Home": [
        ("Desk Lamp", 275_000, 200),
        ("Linen Curtain", 240_000, 80),
        ("Wall Clock", 150_000, 90),
        ("Last Piece Vase", 520_000, 1),
        ("Sold Out Rug", 890_000, 0),
    ],
    "Stationery": [
        ("Notebook A5", 38_000, 100_000),
        ("Fountain Pen", 260_000, 120),
        ("Ink Bottle, Blue", 75_000, 200),
        ("Desk Organizer", 110_000, 100),
        ("Sticky Notes", 15_000, 5_000),
    ],
    "Electronics": [
        ("USB-C Cable", 59_000, 800),
        ("Wireless Mouse", 199_000, 300),
        ("Mechanical Keyboard", 1_150_000, 70),
        ("Phone Stand", 85_000, 400),
        ("Noise Cancelling Headphones", 2_450_000, 25),
    ],
}
"""Category -> (name, price in rupiah, free stock)."""


class _Seeder:
    """Creates what is missing and counts it in `created`."""

    def __init__(self, urls: dict[str, str], accounts: Accounts, client: httpx2.AsyncClient) -> None:
        self._accounts = accounts
        self._users = urls["userfc"]
        self._products = urls["productfc"]
        self._client = client
        self.created = 0

    async def customers(self) -> None:
        for name, (email, password) in self._accounts.items():
            if name == "admin":
                continue
            body = {"name": name.capitalize(), "email": email, "password": password, "confirm_password": password}
            answer = await self._client.post(f"{self._users}/v1/register", json=body)
            self._count(answer, accepted=(409,))

    async def catalogue(self) -> None:
        headers = await self._admin()
        known = {item["name"]: item["id"] for item in await self._categories()}
        for category, products in CATALOGUE.items():
            if category not in known:
                answer = await self._client.post(
                    f"{self._products}/v1/products/categories", headers=headers, json={"name": category}
                )
                self._count(answer)
                known[category] = answer.json()["id"]
            existing = await self._names(category)
            for name, price, stock in products:
                if name not in existing:
                    body = {"name": name, "price": price, "stock": stock, "category_id": known[category]}
                    self._count(await self._client.post(f"{self._products}/v1/products", headers=headers, json=body))

    async def _admin(self) -> dict[str, str]:
        email, password = self._accounts["admin"]
        answer = await self._client.post(f"{self._users}/v1/login", json={"email": email, "password": password})
        if answer.status_code == 401:
            raise StackError(
                f"{email} can't sign in: ADMIN_EMAIL and ADMIN_PASSWORD differ from those of the stack's first start"
            )
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['token']}"}

    async def _categories(self) -> list[dict[str, Any]]:
        answer = await self._client.get(f"{self._products}/v1/products/categories")
        answer.raise_for_status()
        return list(answer.json()["categories"])

    async def _names(self, category: str) -> set[str]:
        answer = await self._client.get(
            f"{self._products}/v1/products/search", params={"category": category, "page_size": 100}
        )
        answer.raise_for_status()
        return {item["name"] for item in answer.json()["products"]}

    def _count(self, answer: httpx2.Response, accepted: tuple[int, ...] = ()) -> None:
        if answer.status_code not in accepted:
            answer.raise_for_status()
            self.created += 1


async def seed(urls: dict[str, str], accounts: Accounts) -> int:
    """Create the rows that are missing at the services behind `urls` and return their number; others stay as they are.

    Raises StackError when a service does not answer or refuses.
    """
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
        seeder = _Seeder(urls, accounts, client)
        try:
            await seeder.customers()
            await seeder.catalogue()
        except httpx2.TransportError as error:
            raise StackError(f"{error.request.url} does not answer: is the stack up?") from None
        except httpx2.HTTPStatusError as error:
            raise StackError(f"seeding failed: {error.request.url} answered {error.response.text}") from None
    return seeder.created
