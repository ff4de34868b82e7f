"""The list of orders by what they wait for."""

import csv
import io
from typing import Any

import httpx2
import pytest

from console.model.steps import GUIDES, Step

from .browser import Browser
from .desk import Desk, Letter, waiting
from .listing import listed, open_desk, order, orders, unapplied

STOCK = "stock.updated was published and productfc has not applied it"


@pytest.fixture
def desk(browser: Browser) -> Desk:
    return open_desk(browser)


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
    of_bob = order(9, "completed", user_id=8)
    rows = [order(7), order(8, "completed"), of_bob, order(10, "completed")]
    kept = orders(desk, *rows, products={3: {7, 8, 9}})
    unapplied(desk, 7, 8, 9, 10)
    text = await desk.text("/orders?step=stock&status=completed&customer=7&product=3&from=2026-11-25T08:00")
    assert listed(text) == [8]
    assert kept.named == [
        {
            "limit": "100",
            "ids": "10,9,8,7",
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


async def test_where_few_orders_that_wait_fit_a_page_asks_a_bounded_number_of_times_and_the_next_goes_on(
    desk: Desk,
) -> None:
    waits = range(1, 2051)
    kept = orders(desk, *(order(number, "failed" if number in (1550, 30) else "created") for number in waits))
    unapplied(desk, *waits)
    text = await desk.text("/orders?step=stock&status=failed")
    assert (listed(text), len(kept.named)) == ([], 5)
    assert "The next page looks further" in text
    text = await desk.text(f"/orders?step=stock&status=failed&before={2051 - 500}")
    assert (listed(text), len(kept.named)) == ([1550], 10)
    assert f'href="/orders?status=failed&amp;step=stock&amp;before={2051 - 1000}"' in text
    assert listed(await desk.text("/orders?step=stock&status=failed&before=51")) == [30]
    assert "No more orders" in await desk.text("/orders?step=stock&status=failed&before=30")
    kept.asked.clear()
    file = (await desk.browser.get("/orders.csv?step=stock&status=failed")).text
    assert (listed(file), len(kept.named)) == ([1550], 20)
    assert "Only part of the orders was looked at (1 fit so far)" in file


async def test_orderfc_is_not_asked_again_when_it_did_not_answer_about_what_waits(desk: Desk) -> None:
    # A service that hangs costs AdminApi's TIMEOUT_S each time.
    kept = orders(desk, order(7))
    desk.kafka.letters = (Letter(7),)
    desk.say("orderfc", "outbox", _hang)
    text = await desk.text("/orders?step=dead_letter")
    assert "orderfc did not answer" in text
    assert kept.named == []
    answer = await desk.browser.get("/orders.csv?step=dead_letter")
    assert (answer.status_code, "orderfc did not answer" in answer.text) == (503, True)
    desk.say("orderfc", "outbox", {"items": [], "next_after_id": None})
    assert listed(await desk.text("/orders?step=dead_letter")) == [7]


def _hang(_: Any) -> None:
    raise httpx2.ReadTimeout("it hangs")


async def test_the_groups_of_what_waits_lead_to_their_orders(desk: Desk) -> None:
    orders(desk, order(7))
    unapplied(desk, *range(7, 40))
    text = await desk.text("/waiting")
    assert text.count('href="/orders?step=stock"') == 2
