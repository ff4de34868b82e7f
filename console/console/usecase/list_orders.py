"""The orders of all customers, page by page: by status, customer, product, time, and what they wait for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from console.client.admin_api import MAX_PAGE, AdminApi
from console.model.order_filters import Wanted, is_id
from console.model.wait import Wait
from console.model.waits import SETTLED_S, waits
from console.usecase.gather_unfinished import EventBacklog, Letters, gather_unfinished
from console.usecase.source_errors import SourceErrors

PAGE = 50
# The requests for one page: each reads up to 10,000 orders as long as none fits, or looks up 100 that wait.
LOOKS = 5
# The same for a file: pages of 100 orders, whatever the filters leave of them.
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

    `next_before` is None at the end, and `is_cut` tells of a file that not all orders were looked at. `problem` says
    why there are none, `choices` has queries with the names of products that may be meant, `notes` say what was read
    in part, and `unread` names the sources that did not answer. `wanted` has the id of a product that was given by its
    name, and `product` both.
    """

    wanted: Wanted = field(default_factory=Wanted)
    rows: list[Any] = field(default_factory=list)
    next_before: int | None = None
    is_cut: bool = False
    accounts: dict[int, Any] = field(default_factory=dict)
    waits: Mapping[int, Wait] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    product: str = ""
    problem: str = ""
    choices: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()


async def list_orders(sources: Sources, wanted: Wanted, before: int | None) -> Orders:
    """Read one page. Raises Refused when a service refuses the token."""
    errors = SourceErrors()
    found, query = await _begin(sources, errors, wanted)
    if query is None:
        return found
    if wanted.step is None:
        reading = _look(sources.api, query, before)
    else:
        ids = [order_id for order_id in _waiting(found) if before is None or order_id < before]
        reading = _named(sources.api, query, ids, PAGE, LOOKS)
    found.rows, found.next_before = await errors.read("orderfc", reading, ([], None))
    customers = ",".join(map(str, sorted({row["user_id"] for row in found.rows})))
    accounts = (
        await errors.read("userfc", sources.api.get("userfc", "users", ids=customers), None) if customers else None
    )
    found.accounts = {account["id"]: account for account in (accounts or {"items": []})["items"]}
    return found


async def all_orders(sources: Sources, wanted: Wanted) -> Orders:
    """Read up to FILE_PAGES pages, without accounts. Raises Refused when a service refuses the token."""
    errors = SourceErrors()
    found, query = await _begin(sources, errors, wanted)
    if query is None:
        return found
    if wanted.step is None:
        reading = sources.api.pages("orderfc", "orders", "before_id", FILE_PAGES, **query)
        found.rows, found.is_cut = await errors.read("orderfc", reading, ([], False))
    else:
        named = _named(sources.api, query, _waiting(found), FILE_PAGES * MAX_PAGE, FILE_PAGES)
        found.rows, following = await errors.read("orderfc", named, ([], None))
        found.is_cut = following is not None
    return found


async def _begin(sources: Sources, errors: SourceErrors, wanted: Wanted) -> tuple[Orders, dict[str, Any] | None]:
    """Look up whom and what the filters name; return the orders, still without rows, and the query for orderfc.

    The query is None when no order can be asked for: the orders say why.
    """
    found = Orders(wanted, unread=errors.unread)
    user_id = await _customer(sources.api, errors, found)
    product_id = None if found.problem else await _product(sources.api, errors, found)
    if wanted.step is not None and not found.problem:
        unfinished = await gather_unfinished(sources.api, sources.backlog, sources.letters)
        errors.unread |= unfinished.unread
        found.notes = unfinished.cut
        theirs = (wait for wait in waits(unfinished, SETTLED_S) if wait.step is wanted.step)
        found.waits = {wait.order_id: wait for wait in theirs if wait.order_id is not None}
    # The page would wait for orderfc a second time.
    if found.problem or "orderfc" in errors.unread:
        return found, None
    return found, {**wanted.filters(), "user_id": user_id, "product_id": product_id}


async def _look(api: AdminApi, query: Mapping[str, Any], before: int | None) -> tuple[list[Any], int | None]:
    """Return the next orders that fit and where to go on; after LOOKS requests without any, only the latter."""
    for _ in range(LOOKS):
        found = await api.get("orderfc", "orders", limit=PAGE, before_id=before, **query)
        rows, before = (list(found["items"]), found["next_before_id"]) if found else ([], None)
        if rows or before is None:
            return rows, before
    return [], before


def _waiting(found: Orders) -> list[int]:
    """Return the ids of the orders that wait, newest first."""
    return sorted(found.waits, reverse=True)


async def _named(
    api: AdminApi, query: Mapping[str, Any], ids: Sequence[int], most: int, looks: int
) -> tuple[list[Any], int | None]:
    """Return the orders of these ids that fit, up to `most` and found by `looks` requests, and where to go on."""
    rows: list[Any] = []
    asked_for = ids[: looks * MAX_PAGE]
    for begin in range(0, len(asked_for), MAX_PAGE):
        part = ",".join(map(str, asked_for[begin : begin + MAX_PAGE]))
        found = await api.get("orderfc", "orders", limit=MAX_PAGE, ids=part, **query)
        rows += found["items"] if found else []
        if len(rows) > most:
            return rows[:most], rows[most - 1]["order_id"]
    return rows, asked_for[-1] if len(asked_for) < len(ids) else None


async def _customer(api: AdminApi, errors: SourceErrors, found: Orders) -> int | None:
    """Return the id of the customer; where there is none, `found` says why."""
    customer = found.wanted.customer
    if not customer or is_id(customer):
        return int(customer) if customer else None
    accounts = await errors.read("userfc", api.get("userfc", "users", email=customer), None)
    if "userfc" in errors.unread:
        found.problem = "The e-mail address could not be looked up: userfc did not answer"
    elif not accounts or not accounts["items"]:
        found.problem = f"No account has the address {customer}"
    else:
        return int(accounts["items"][0]["id"])
    return None


async def _product(api: AdminApi, errors: SourceErrors, found: Orders) -> int | None:
    """Return the id of the product; where the name does not lead to one, `found` says so, or has them to choose."""
    product = found.wanted.product
    if not product or is_id(product):
        return int(product) if product else None
    search = api.get("productfc", "/v1/products/search", name=product, page_size=CHOICES)
    answer = await errors.read("productfc", search, None)
    if answer is None:
        found.problem = "The product could not be looked up by its name: productfc did not answer. Give its id"
        return None
    products, total = answer["products"], answer["totalCount"]
    if not products:
        found.problem = f"No product on sale has “{product}” in its name. One that is not on sale is found by its id"
        return None
    one = _meant(product, products) if total <= CHOICES else None
    if one is None:
        found.problem = f"{total} products have “{product}” in their names: choose one"
        if total > len(products):
            found.problem += f". The first {len(products)} are shown: type more of the name, or the id"
        found.choices = [(_of_product(found.wanted, each).query(), _label(each)) for each in products]
        return None
    found.wanted, found.product = _of_product(found.wanted, one), _label(one)
    return int(one["id"])


def _meant(name: str, products: Sequence[Any]) -> Any | None:
    """Return the one that has just this name, or the only one; names are not unique."""
    same = [each for each in products if each["name"].casefold() == name.casefold()]
    fitting = same or products
    return fitting[0] if len(fitting) == 1 else None


def _of_product(wanted: Wanted, product: Any) -> Wanted:
    return replace(wanted, product=str(product["id"]))


def _label(product: Any) -> str:
    return f"{product['name']} ({product['id']})"
