"""The list of orders: orderfc as it answers one, a person who looks at it, and what a page or a file lists."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from .browser import Browser
from .desk import Desk, Kafka, ago, paid, pending


def order(number: int, status: str = "created", user_id: int = 7) -> dict[str, Any]:
    return {
        "order_id": number,
        "user_id": user_id,
        "status": status,
        "total_amount": 90000,
        "total_qty": 2,
        "currency": "IDR",
        "payment_method": "BANK_TRANSFER",
        "created_at": ago(100),
        "updated_at": ago(100),
    }


class Orders:
    """The list of orderfc, newest first, by its filters except the times; it is told what it was asked.

    `products` has the orders of each product.
    """

    def __init__(self, *rows: dict[str, Any], products: Mapping[int, set[int]]) -> None:
        self.rows = sorted(rows, key=lambda row: -row["order_id"])
        self.products = products
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: Any) -> dict[str, Any]:
        query = dict(request.url.params)
        self.asked.append(query)
        ids = {int(part) for part in query["ids"].split(",")} if "ids" in query else None
        of_product = self.products.get(int(query["product_id"]), set()) if "product_id" in query else None
        found = [
            row
            for row in self.rows
            if (ids is None or row["order_id"] in ids)
            and (of_product is None or row["order_id"] in of_product)
            and row["user_id"] == int(query.get("user_id", row["user_id"]))
            and row["status"] == query.get("status", row["status"])
            and row["order_id"] < int(query.get("before_id", 2**63))
        ]
        page = found[: int(query.get("limit", 20))]
        return {"items": page, "next_before_id": page[-1]["order_id"] if len(page) < len(found) else None}

    @property
    def named(self) -> list[dict[str, str]]:
        return [query for query in self.asked if "ids" in query]


def open_desk(browser: Browser) -> Desk:
    browser.sign_in()
    kafka = Kafka()
    browser.app.state.backlog, browser.app.state.letters = kafka, kafka
    opened = Desk(browser, kafka)
    opened.payments()
    opened.items()
    opened.say("userfc", "users", {"items": []})
    for service in ("orderfc", "productfc", "paymentfc"):
        opened.say(service, "outbox", {"items": [], "next_after_id": None})
        opened.say(service, "inbox", opened.inbox)
    return opened


def listed(text: str) -> list[int]:
    """Return the numbers of orders on a page, or in a file."""
    if text.startswith("order_id"):
        return [int(row[0]) for row in csv.reader(io.StringIO(text)) if row[0].isdecimal()]
    return [int(part.partition('"')[0]) for part in text.split('class="id" href="/orders/')[1:]]


def orders(desk: Desk, *rows: dict[str, Any], products: Mapping[int, set[int]] = {}) -> Orders:
    kept = Orders(*rows, products=products)
    desk.say("orderfc", "orders", kept)
    return kept


def unapplied(desk: Desk, *numbers: int) -> None:
    desk.kafka.events = tuple(pending("productfc", "stock.updated", number) for number in numbers)
    for number in numbers:
        desk.say("paymentfc", f"payments/orders/{number}", paid(number, "PAID"))


def products(desk: Desk, *names: str, total: int = 0) -> None:
    found = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    desk.browser.platform.more["productfc/v1/products/search"] = {"products": found, "totalCount": total or len(found)}
