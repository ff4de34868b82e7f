"""The list of orders, its file, and the search for any id."""

import csv
import io
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.model.tables import as_csv

from .browser import Browser

TIME = "2026-11-25T08:30:00.125Z"
EVENT = UUID("01a210a9-9ec2-78c3-b1f9-482d059d4740")
INVOICE = "6748105a77f16ebe0cc583a7"
ALICE = {"id": 7, "name": "Alice", "email": "alice@example.com", "role": "user", "created_at": TIME}


def order(number: int, **given: Any) -> dict[str, Any]:
    row = {
        "order_id": number,
        "user_id": 7,
        "status": "completed",
        "total_amount": 90000,
        "total_qty": 2,
        "currency": "IDR",
        "payment_method": "BANK_TRANSFER",
        "created_at": TIME,
        "updated_at": TIME,
    }
    return row | given


@pytest.fixture
def shop(browser: Browser) -> Browser:
    browser.sign_in()
    browser.platform.more |= {
        "orderfc/v1/admin/orders": {"items": [order(9), order(8)], "next_before_id": 8},
        "userfc/v1/admin/users": _users,
    }
    return browser


def _users(request: Any) -> dict[str, Any]:
    asked = request.url.params
    is_known = asked.get("email", "").lower() == "alice@example.com" or "7" in asked.get("ids", "").split(",")
    return {"items": [ALICE] if is_known else []}


def asked(browser: Browser, service: str) -> dict[str, str]:
    """Return the last question to a service."""
    [*_, last] = [request for request in browser.platform.asked if request.url.host == service]
    return dict(last.url.params)


async def test_orders_are_listed_with_their_customers_and_a_next_page(shop: Browser) -> None:
    text = (await shop.get("/orders")).text
    for part in ('href="/orders/9"', "alice@example.com", "IDR 90,000", 'href="/orders?before=8"'):
        assert part in text
    assert asked(shop, "orderfc") == {"limit": "50"}
    await shop.get("/orders?before=8")
    assert asked(shop, "orderfc") == {"limit": "50", "before_id": "8"}


async def test_filters_go_to_orderfc_and_stay_in_the_links(shop: Browser) -> None:
    path = "/orders?status=failed&customer=Alice@Example.com&from=2026-11-25T08:00&to=2026-11-26T08:00:30.5"
    text = (await shop.get(path)).text
    assert asked(shop, "orderfc") == {
        "limit": "50",
        "status": "failed",
        "user_id": "7",
        "created_from": "2026-11-25T08:00:00Z",
        "created_to": "2026-11-26T08:00:30.500000Z",
    }
    times = "from=2026-11-25T08%3A00%3A00&amp;to=2026-11-26T08%3A00%3A30.500000"
    kept = f"status=failed&amp;customer=Alice%40Example.com&amp;{times}"
    assert f'href="/orders?{kept}&amp;before=8"' in text
    assert f'href="/orders.csv?{kept}"' in text
    assert '<option value="failed" selected>' in text


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("status=lost", "A status is one of"),
        ("customer=alice", "A customer is an id"),
        ("customer=99999999999999999999", "A customer is an id"),
        ("product=0", "A product is an id, such as 7, or a part of its name"),
        ("product=9223372036854775808", "A product is an id"),
        ("product=Teh%07", "A product is an id"),
        ("product=" + "x" * 256, "of up to 255 characters"),
        ("step=lunch", "is one of refund, dead_letter, outbox, stock, payment,"),
        ("from=yesterday", "A time is written like"),
        ("to=0001-01-01T00:00%2B14:00", "A time is written like"),
    ],
)
async def test_a_filter_that_is_not_clear_is_said_and_nobody_is_asked(shop: Browser, query: str, says: str) -> None:
    answer = await shop.get(f"/orders?{query}")
    assert (answer.status_code, says in answer.text) == (400, True)
    assert not shop.platform.asked
    assert (await shop.get(f"/orders.csv?{query}")).status_code == 400


async def test_an_unknown_customer_and_an_empty_page_say_what_to_do(shop: Browser) -> None:
    assert "No account has the address bob@example.com" in (await shop.get("/orders?customer=bob@example.com")).text
    shop.platform.more["orderfc/v1/admin/orders"] = {"items": [], "next_before_id": 77}
    assert "The next page looks further" in (await shop.get("/orders?status=failed")).text
    shop.platform.more["orderfc/v1/admin/orders"] = {"items": [], "next_before_id": None}
    assert "No order fits the filters" in (await shop.get("/orders?status=failed")).text


async def test_an_empty_later_page_says_that_there_are_no_more_and_not_that_there_are_none(shop: Browser) -> None:
    shop.platform.more["orderfc/v1/admin/orders"] = {"items": [], "next_before_id": None}
    later = (await shop.get("/orders?before=8")).text
    assert "There is no older order." in later
    assert "as soon as a customer places one" not in later
    assert "No older order fits the filters." in (await shop.get("/orders?status=failed&before=8")).text
    shop.platform.away = {"orderfc"}
    assert "Not everything was read" in (await shop.get("/orders?before=8")).text


@pytest.mark.parametrize("away", ["orderfc", "userfc"])
async def test_a_source_that_is_away_leaves_a_line(shop: Browser, away: str) -> None:
    shop.platform.away = {away}
    answer = await shop.get("/orders")
    assert (answer.status_code, f"{away} did not answer" in answer.text) == (200, True)
    if away == "userfc":
        assert 'href="/orders/9"' in answer.text


async def test_the_file_has_all_pages_up_to_a_bound_which_it_tells(shop: Browser) -> None:
    answer = await shop.get("/orders.csv?customer=7")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert len(rows) == 1 + 20 * 2 + 1
    assert rows[0][:3] == ["order_id", "status", "user_id"]
    assert rows[1][:3] == ["9", "completed", "7"]
    assert rows[-1][0].startswith("Only part of the orders was looked at (40 fit so far)")
    shop.platform.more["orderfc/v1/admin/orders"] = {"items": [], "next_before_id": 77}
    assert "Only part of the orders was looked at (0 fit so far)" in (await shop.get("/orders.csv")).text
    shop.platform.more["orderfc/v1/admin/orders"] = {"items": [order(9)], "next_before_id": None}
    assert "Only part" not in (await shop.get("/orders.csv")).text
    shop.platform.away = {"orderfc"}
    assert (await shop.get("/orders.csv")).status_code == 503


async def test_the_file_computes_nothing(shop: Browser) -> None:
    shop.platform.more["orderfc/v1/admin/orders"] = {
        "items": [order(9, payment_method='=HYPERLINK("http://evil")')],
        "next_before_id": None,
    }
    assert "'=HYPERLINK" in (await shop.get("/orders.csv")).text


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_no_cell_begins_like_a_formula_and_no_text_is_lost(cells: list[str]) -> None:
    written = [cell.replace("\r", "\n") for cell in cells]
    [_, row] = list(csv.reader(io.StringIO(as_csv(["x"], [written]), newline="")))
    assert [cell.removeprefix("'") for cell in row] == [cell.removeprefix("'") for cell in written]
    assert not any(cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\n")) for cell in row)


def lead(typed: str) -> dict[str, str]:
    return {"q": typed}


async def find(browser: Browser, typed: str) -> Any:
    return await browser.http.get("/search", params={"q": typed})


@pytest.mark.parametrize(("typed", "place"), [("42", "42"), (" order-7 ", "7"), ("0042", "42"), ("ORDER-7", "7")])
async def test_an_order_is_found_by_its_number_or_key_and_nobody_is_asked(
    shop: Browser, typed: str, place: str
) -> None:
    answer = await find(shop, typed)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/orders/{place}")
    assert not shop.platform.asked


async def test_an_invoice_leads_to_its_order(shop: Browser) -> None:
    shop.platform.more["paymentfc/v1/admin/payments"] = {"payment": {"order_id": 7}}
    assert (await find(shop, INVOICE.upper())).headers["location"] == "/orders/7"
    assert asked(shop, "paymentfc") == {"invoice_id": INVOICE}


async def test_an_event_is_looked_for_in_each_outbox(shop: Browser) -> None:
    shop.platform.more["productfc/v1/admin/outbox"] = {"items": [{"key": "order-7"}], "next_after_id": None}
    assert (await find(shop, str(EVENT))).headers["location"] == "/orders/7"
    hosts = [request.url.host for request in shop.platform.asked]
    assert sorted(hosts) == ["orderfc", "paymentfc", "productfc"]
    shop.platform.more["productfc/v1/admin/outbox"] = {"items": [], "next_after_id": None}
    answer = await find(shop, str(EVENT))
    assert answer.status_code == 404
    for service in ("orderfc", "paymentfc", "productfc"):
        assert f"an event {EVENT} in the outbox of {service}" in answer.text


async def test_an_address_leads_to_the_orders_of_its_customer(shop: Browser) -> None:
    assert (await find(shop, "ALICE@example.com")).headers["location"] == "/orders?customer=alice%40example.com"
    answer = await find(shop, "bob@example.com")
    assert (answer.status_code, "bob@example.com" in answer.text) == (404, True)


async def test_thirty_two_hexadecimal_digits_are_a_trace_or_a_request(shop: Browser) -> None:
    name = "0af7651916cd43dd8448eb211c80319c"
    answer = await find(shop, name)
    text = answer.text
    assert f'href="/traces/{name}"' in text
    assert f'href="/requests/{name}/logs"' in text


async def test_what_nobody_knows_is_said_with_what_was_tried(shop: Browser) -> None:
    answer = await find(shop, "<b>no such thing")
    assert answer.status_code == 404
    assert "an invoice &lt;b&gt;no such thing of Xendit" in answer.text


@pytest.mark.parametrize(
    ("away", "typed", "looked_up"),
    [
        ("paymentfc", INVOICE, f"an invoice {INVOICE}"),
        ("userfc", "bob@example.com", "an account with"),
        ("productfc", str(EVENT), f"an event {EVENT} in the outbox of productfc"),
    ],
)
async def test_what_could_not_be_asked_is_not_called_unknown(
    shop: Browser, away: str, typed: str, looked_up: str
) -> None:
    shop.platform.away = {away}
    answer = await find(shop, typed)
    assert (answer.status_code, f"Not everything could be asked about {typed}" in answer.text) == (200, True)
    assert f"{away} did not answer" in answer.text
    assert "Nothing is known" not in answer.text
    assert looked_up not in answer.text
    assert ("in the outbox of orderfc" in answer.text) is (away == "productfc")


async def test_nothing_typed_says_what_can_be_found(shop: Browser) -> None:
    assert "24 hexadecimal digits" in (await find(shop, " ")).text
    assert (await find(shop, "x" * 321)).status_code == 400
