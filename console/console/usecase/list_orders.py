"""The orders of all customers, page by page: by status, customer, product, time, and what they wait for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from console.client.admin_api import MAX_PAGE, AdminApi
from console.model.order_filters import Unclear, Wanted, is_id
from console.model.wait import Wait
from console.model.waits import SETTLED_S, waits
from console.usecase.asked import Asked
from console.usecase.list_waits import EventBacklog, Letters, list_waits

PAGE = 50
# The requests for one page, each of which reads up to 10,000 orders, as long as no order fits.
LOOKS = 5
# The pages of 100 orders that are read for a file, whatever the filters leave of them.
FILE_PAGES = 20
# The products with a name that are offered to choose from.
CHOICES = 20


@dataclass(frozen=True, slots=True)
class Sources:
    """Who knows of orders: the services, and for those that wait Kafka too."""

    api: AdminApi
    backlog: EventBacklog
    letters: Letters


@dataclass(slots=True)
class Orders:
    """Orders, newest first, with the accounts of their customers by id, and what they wait for where that was asked.

    `next_before` is None at the end. `problem` says why there are none, `choices` has queries with the names of
    products that may be meant, `notes` say what was read in part, and `unread` names the sources that did not answer.
    """

    rows: list[Any] = field(default_factory=list)
    next_before: int | None = None
    accounts: dict[int, Any] = field(default_factory=dict)
    waits: Mapping[int, Wait] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    choices: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()


async def list_orders(sources: Sources, wanted: Wanted, before: int | None) -> Orders:
    """Read one page. Raises Refused when a service refuses the token."""
    asked = Asked()
    found, query = await _begin(sources, asked, wanted)
    if found.problem:
        return found
    reading = _look(sources.api, query, before) if wanted.step is None else _named(sources.api, found, query, before)
    found.rows, found.next_before = await asked.of("orderfc", reading, ([], None))
    ids = ",".join(map(str, sorted({row["user_id"] for row in found.rows})))
    accounts = await asked.of("userfc", sources.api.get("userfc", "users", ids=ids), None) if ids else None
    found.accounts = {account["id"]: account for account in (accounts or {"items": []})["items"]}
    return found


async def all_orders(sources: Sources, wanted: Wanted) -> Orders:
    """Read up to FILE_PAGES pages, without accounts. Raises Refused, NoAnswer and Unclear."""
    found, query = await _begin(sources, Asked(), wanted)
    if found.problem:
        raise Unclear(found.problem)
    if wanted.step is None:
        found.rows, more = await sources.api.pages("orderfc", "orders", "before_id", FILE_PAGES, **query)
    else:
        ids = sorted(found.waits, reverse=True)
        found.rows, more = await _of_ids(sources.api, query, ids, FILE_PAGES * MAX_PAGE)
    found.next_before = found.rows[-1]["order_id"] if more and found.rows else None
    return found


async def _begin(sources: Sources, asked: Asked, wanted: Wanted) -> tuple[Orders, dict[str, Any]]:
    """Look up whom and what the filters name; return the orders, still without rows, and the query for orderfc."""
    found = Orders(unread=asked.unread)
    user_id = await _customer(sources.api, asked, wanted, found)
    product_id = None if found.problem else await _product(sources.api, asked, wanted, found)
    if wanted.step is not None and not found.problem:
        known = await list_waits(sources.api, sources.backlog, sources.letters)
        asked.unread |= known.unread
        found.notes = known.cut
        theirs = (wait for wait in waits(known, SETTLED_S) if wait.step is wanted.step)
        found.waits = {wait.order_id: wait for wait in theirs if wait.order_id is not None}
    return found, {**wanted.filters(), "user_id": user_id, "product_id": product_id}


async def _look(api: AdminApi, query: Mapping[str, Any], before: int | None) -> tuple[list[Any], int | None]:
    """Return the next orders that fit and where to go on; after LOOKS requests without any, only the latter."""
    for _ in range(LOOKS):
        found = await api.get("orderfc", "orders", limit=PAGE, before_id=before, **query)
        rows, before = (list(found["items"]), found["next_before_id"]) if found else ([], None)
        if rows or before is None:
            return rows, before
    return [], before


async def _named(
    api: AdminApi, found: Orders, query: Mapping[str, Any], before: int | None
) -> tuple[list[Any], int | None]:
    """Return the next of the orders that wait."""
    ids = sorted((order_id for order_id in found.waits if before is None or order_id < before), reverse=True)
    rows, more = await _of_ids(api, query, ids, PAGE)
    return rows, rows[-1]["order_id"] if more else None


async def _of_ids(api: AdminApi, query: Mapping[str, Any], ids: list[int], most: int) -> tuple[list[Any], bool]:
    """Return the orders of these ids that fit, up to `most`, and whether there are more."""
    rows: list[Any] = []
    for begin in range(0, len(ids), MAX_PAGE):
        part = ",".join(map(str, ids[begin : begin + MAX_PAGE]))
        found = await api.get("orderfc", "orders", limit=MAX_PAGE, ids=part, **query)
        rows += found["items"] if found else []
        if len(rows) > most:
            break
    return rows[:most], len(rows) > most


async def _customer(api: AdminApi, asked: Asked, wanted: Wanted, found: Orders) -> int | None:
    """Return the id of the customer; where there is none, `found` says why."""
    if not wanted.customer or is_id(wanted.customer):
        return int(wanted.customer) if wanted.customer else None
    accounts = await asked.of("userfc", api.get("userfc", "users", email=wanted.customer), None)
    if "userfc" in asked.unread:
        found.problem = "The e-mail address could not be looked up: userfc did not answer"
    elif not accounts or not accounts["items"]:
        found.problem = f"No account has the address {wanted.customer}"
    else:
        return int(accounts["items"][0]["id"])
    return None


async def _product(api: AdminApi, asked: Asked, wanted: Wanted, found: Orders) -> int | None:
    """Return the id of the product: of several the one that has just this name, else `found` has them to choose."""
    if not wanted.product or is_id(wanted.product):
        return int(wanted.product) if wanted.product else None
    search = api.get("productfc", "/v1/products/search", name=wanted.product, page_size=CHOICES)
    answer = await asked.of("productfc", search, None)
    if answer is None:
        found.problem = "The product could not be looked up by its name: productfc did not answer. Give its id"
        return None
    products = answer["products"]
    same = [product for product in products if product["name"].casefold() == wanted.product.casefold()]
    if not products:
        found.problem = (
            f"No product on sale has “{wanted.product}” in its name. One that is not on sale is found by its id"
        )
    elif len(same) == 1 or answer["totalCount"] == 1:
        return int((same or products)[0]["id"])
    else:
        found.problem = f"{answer['totalCount']} products have “{wanted.product}” in their names: choose one"
        found.choices = [
            (replace(wanted, product=str(product["id"])).query(), f"{product['name']} ({product['id']})")
            for product in products
        ]
    return None
