"""The list of orders by product, and by what an order waits for."""

import csv
import io
from typing import Any

import pytest

from console.model.steps import GUIDES, Step

from .browser import Browser
from .desk import Desk, Kafka, Letter, ago, paid, pending, waiting

NEVER: dict[str, Any] = {"items": [], "next_before_id": None}
STOCK = "stock.updated was published and productfc has not applied it"


def order(number: int, status: str = "created") -> dict[str, Any]:
    return {
        "order_id": number,
        "user_id": 7,
        "status": status,
        "total_amount": 90000,
        "total_qty": 2,
        "currency": "IDR",
        "payment_method": "BANK_TRANSFER",
        "created_at": ago(100),
        "updated_at": ago(100),
    }


class Orders:
    """The list of orderfc: the newest first, by id and status; it is told what it was asked."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = sorted(rows, key=lambda row: -row["order_id"])
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: Any) -> dict[str, Any]:
        query = dict(request.url.params)
        self.asked.append(query)
        ids = {int(part) for part in query["ids"].split(",")} if "ids" in query else None
        found = [
            row
            for row in self.rows
            if (ids is None or row["order_id"] in ids)
            and row["status"] == query.get("status", row["status"])
            and row["order_id"] < int(query.get("before_id", 2**63))
        ]
        page = found[: int(query.get("limit", 20))]
        return {"items": page, "next_before_id": page[-1]["order_id"] if len(page) < len(found) else None}

    @property
    def named(self) -> list[dict[str, str]]:
        return [query for query in self.asked if "ids" in query]


@pytest.fixture
def desk(browser: Browser) -> Desk:
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


def orders(desk: Desk, *rows: dict[str, Any]) -> Orders:
    kept = Orders(*rows)
    desk.say("orderfc", "orders", kept)
    return kept


def unapplied(desk: Desk, *numbers: int) -> None:
    desk.kafka.events = tuple(pending("productfc", "stock.updated", number) for number in numbers)
    for number in numbers:
        desk.say("paymentfc", f"payments/orders/{number}", paid(number, "PAID"))


def products(desk: Desk, *names: str, total: int = 0) -> None:
    found = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    desk.browser.platform.more["productfc/v1/products/search"] = {"products": found, "totalCount": total or len(found)}


async def test_the_orders_that_wait_for_a_step_are_listed_with_the_cause(desk: Desk) -> None:
    kept = orders(desk, order(7), order(8), order(9), order(10, "completed"))
    unapplied(desk, 7, 9)
    desk.payments(customer=[waiting(8, 60)])
    text = await desk.text("/orders?step=stock")
    assert listed(text) == [9, 7]
    assert text.count(STOCK) == 2
    assert GUIDES[Step.STOCK].goes_on in text
    assert '<option value="stock" selected>Stock</option>' in text
    assert kept.named == [{"limit": "100", "ids": "9,7"}]
    assert listed(await desk.text("/orders?step=customer")) == [8]


async def test_the_other_filters_go_with_the_step(desk: Desk) -> None:
    kept = orders(desk, order(7), order(8, "completed"))
    unapplied(desk, 7, 8)
    text = await desk.text("/orders?step=stock&status=completed&customer=7&product=3&from=2026-11-25T08:00")
    assert listed(text) == [8]
    assert kept.named == [
        {
            "limit": "100",
            "ids": "8,7",
            "status": "completed",
            "user_id": "7",
            "product_id": "3",
            "created_from": "2026-11-25T08:00:00Z",
        }
    ]
    assert "step=stock" in text.partition('href="/orders.csv?')[2].partition('"')[0]
    assert "No order waits for this step" in await desk.text("/orders?step=refund")
    assert "that fits the other filters waits for this step" in await desk.text("/orders?step=stock&status=failed")


async def test_the_pages_of_a_step_have_each_order_once_also_when_others_begin_to_wait(desk: Desk) -> None:
    orders(desk, *(order(number) for number in range(1, 200)))
    unapplied(desk, *range(1, 152))
    found, path = [], "/orders?step=stock"
    for _ in range(4):
        text = await desk.text(path)
        found += listed(text)
        following = text.partition('<a class="button quiet" href="/orders?step=stock&amp;before=')[2].partition('"')[0]
        unapplied(desk, *range(1, 152 + len(found)))
        path = f"/orders?step=stock&before={following}"
    assert (found, following) == (list(range(151, 0, -1)), "")


async def test_the_file_of_a_step_has_what_each_order_waits_for(desk: Desk) -> None:
    orders(desk, *(order(number) for number in range(1, 151)))
    unapplied(desk, *range(1, 151))
    text = (await desk.browser.get("/orders.csv?step=stock")).text
    assert listed(text) == list(range(150, 0, -1))
    first = next(csv.DictReader(io.StringIO(text)))
    assert (first["order_id"], first["waits_for"], first["waits_because"]) == ("150", "stock", STOCK)
    assert first["what_to_do"] == "fc status; fc logs productfc"


@pytest.mark.parametrize("source", ["kafka", "paymentfc", "productfc"])
async def test_what_could_not_be_read_of_the_waits_is_on_the_page_and_in_the_file(desk: Desk, source: str) -> None:
    orders(desk, order(7))
    desk.browser.platform.away = {source}
    desk.kafka.is_away, desk.kafka.more = source == "kafka", 3
    text = await desk.text("/orders?step=outbox")
    assert f"{source} did not answer" in text
    assert "Nothing is known to wait" in text
    file = (await desk.browser.get("/orders.csv?step=outbox")).text
    assert f"{source} did not answer" in file
    assert ("Dead letters: 3 more were not read" in text, "3 more were not read" in file) == (source != "kafka",) * 2


async def test_a_letter_of_an_order_that_does_not_exist_is_left_to_the_page_of_the_waits(desk: Desk) -> None:
    orders(desk, order(7))
    desk.kafka.letters = (Letter(7), Letter(999), Letter(None))
    text = await desk.text("/orders?step=dead_letter")
    assert listed(text) == [7]
    assert 'href="/waiting?step=dead_letter"' in text


async def test_without_a_step_nobody_is_asked_what_waits(desk: Desk) -> None:
    orders(desk, order(7))
    await desk.text("/orders?product=3")
    assert [request.url.host for request in desk.browser.platform.asked] == ["orderfc", "userfc"]
    assert desk.browser.platform.asked[0].url.params["product_id"] == "3"


async def test_a_product_is_found_by_its_name(desk: Desk) -> None:
    kept = orders(desk, order(7))
    products(desk, "Kopi Susu")
    assert listed(await desk.text("/orders?product=susu")) == [7]
    assert kept.asked[-1]["product_id"] == "1"
    products(desk, "Es Kopi", "Kopi", "Kopi Susu")
    assert listed(await desk.text("/orders?product=KOPI")) == [7]
    assert kept.asked[-1]["product_id"] == "2"


async def test_of_several_products_with_a_name_one_is_to_be_chosen(desk: Desk) -> None:
    kept = orders(desk, order(7))
    products(desk, "Es Kopi", "<b>Kopi Susu", total=34)
    text = await desk.text("/orders?product=kopi&status=failed")
    assert "34 products have “kopi” in their names: choose one" in text
    assert '<a href="/orders?status=failed&amp;product=2">&lt;b&gt;Kopi Susu (2)</a>' in text
    assert (await desk.browser.get("/orders.csv?product=kopi")).status_code == 400
    assert not kept.asked


async def test_a_product_that_is_not_found_is_said_and_no_order_is_asked_for(desk: Desk) -> None:
    kept = orders(desk, order(7))
    products(desk)
    assert "No product on sale has “teh” in its name" in await desk.text("/orders?product=teh")
    desk.browser.platform.away = {"productfc"}
    assert "could not be looked up by its name" in await desk.text("/orders?product=teh")
    assert not kept.asked


async def test_where_few_orders_fit_some_pages_are_read_before_the_next_one_is_offered(desk: Desk) -> None:
    desk.say("orderfc", "orders", lambda request: {**NEVER, "next_before_id": _before(request) - 10_000})
    text = await desk.text("/orders?product=3")
    assert "The next page looks further" in text
    assert f'href="/orders?product=3&amp;before={10**6 - 50_000}"' in text
    desk.say("orderfc", "orders", NEVER)
    assert "No order fits the filters. Take one of them away" in await desk.text("/orders?product=3")


def _before(request: Any) -> int:
    return int(request.url.params.get("before_id", 10**6))


async def test_the_groups_of_what_waits_lead_to_their_orders(desk: Desk) -> None:
    orders(desk, order(7))
    unapplied(desk, *range(7, 40))
    text = await desk.text("/waiting")
    assert text.count('href="/orders?step=stock"') == 2
