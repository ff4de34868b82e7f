"""The lab: orders and faults at the press of a button. It is there in development only."""

import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import Depends, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from chassis.http.body import KIB
from chassis.http.routing import Router, accepts
from console.client.admin_api import NoAnswer
from console.client.shop import Declined, Shop
from console.handler.session import token_of
from console.handler.visit import Visit, Visitor
from console.model.lab import (
    ENDS,
    MAX_BUYERS,
    MAX_ORDERS,
    MAX_QUANTITY,
    MAX_SWITCHES,
    POISON,
    POISONED_ORDER,
    PRESETS,
    Done,
)
from console.model.saga import PRODUCERS
from console.usecase.run_experiments import end_order, place_orders, race

MAX_PRODUCTS = 100
# What was done last, in this process.
KEPT = 20

Fields = Mapping[str, str]


class _Unclear(Exception):
    """A form can't be read; the text says what is wrong."""


async def only_in_development(request: Request) -> None:
    """Hide the lab in production. Raises HTTPException 404."""
    if request.app.state.settings.environment == "production":
        raise HTTPException(404)


router = Router(include_in_schema=False, dependencies=[Depends(only_in_development)])


@router.get("/lab")
async def lab(visit: Visitor) -> Response:
    """Show what can be done, and what was done."""
    return await _page(visit)


@router.post("/lab/{action}")
@accepts(max_body=16 * KIB, form=True)
async def experiment(visit: Visitor, action: str) -> Response:
    """Do one thing, and go back to the page, which says what was done."""
    fields = await visit.form()
    work = _WORKS.get(action)
    if work is None:
        raise HTTPException(404)
    try:
        done = await work(visit, _shop(visit), fields)
    except _Unclear as error:
        return await _page(visit, str(error), 400)
    except (NoAnswer, Declined) as error:
        return await _page(visit, str(error))
    visit.state.lab.appendleft(done)
    return RedirectResponse("/lab#done", 303)


def history() -> deque[Done]:
    """Make the memory of the lab."""
    return deque(maxlen=KEPT)


def _shop(visit: Visit) -> Shop:
    urls = {**visit.state.urls, "xendit": visit.state.settings.simulator_url or ""}
    return Shop(visit.state.http, urls, token_of(visit.request))


async def _page(visit: Visit, problem: str = "", status: int = 200) -> Response:
    shop, products, switches, away = _shop(visit), [], None, []
    try:
        products = await shop.products(MAX_PRODUCTS)
    except (NoAnswer, Declined) as error:
        away.append(f"The products could not be read: {error}")
    try:
        switches = json.dumps(await shop.switches(), indent=1)
    except (NoAnswer, Declined) as error:
        away.append(f"The simulator of Xendit did not answer: {error}")
    return visit.page(
        "lab.html",
        status,
        products=products,
        switches=switches,
        away=away,
        problem=problem,
        done=visit.state.lab,
        **_CHOICES,
    )


def _done(text: str, orders: list[int] | None = None, problems: list[str] | None = None, link: str = "") -> Done:
    return Done(datetime.now(UTC), text, tuple(orders or ()), tuple(problems or ()), link)


async def _place(_visit: Visit, shop: Shop, fields: Fields) -> Done:
    product, count = _number(fields, "product", 10**18), _number(fields, "count", MAX_ORDERS)
    quantity, end = _number(fields, "quantity", MAX_QUANTITY), _one_of(fields, "end", ENDS)
    orders, problems = await place_orders(shop, product, quantity, count, end)
    return _done(f"Placed {len(orders)} of {count} orders; then: {ENDS[end]}", orders, problems)


async def _end(_visit: Visit, shop: Shop, fields: Fields) -> Done:
    order, end = _number(fields, "order", 10**18), _one_of(fields, "end", ENDS)
    await end_order(shop, order, end)
    return _done(f"Done with order {order}: {ENDS[end]}", [order])


async def _race(_visit: Visit, shop: Shop, fields: Fields) -> Done:
    buyers = _number(fields, "buyers", MAX_BUYERS, least=2)
    orders, problems = await race(shop, _number(fields, "product", 10**18), buyers)
    return _done(f"{buyers} checkouts raced for one unit; {len(orders)} became orders", orders, problems)


async def _poison(visit: Visit, _shop: Shop, fields: Fields) -> Done:
    topic, sort = _one_of(fields, "topic", PRODUCERS), _one_of(fields, "sort", POISON)
    name, value = POISON[sort]
    partition, offset = await visit.state.poison.send(topic, f"order-{POISONED_ORDER}", value)
    place = f"{topic} {partition}:{offset}"
    return _done(f"Sent {name} to {place}: its consumers make a dead letter of it", link=f"/events?topic={topic}.dlq")


async def _preset(_visit: Visit, shop: Shop, fields: Fields) -> Done:
    name, switches = PRESETS[_one_of(fields, "preset", PRESETS)]
    await shop.set_switches(switches)
    return _done(f"Xendit, from now on: {name}")


async def _switches(_visit: Visit, shop: Shop, fields: Fields) -> Done:
    text = fields.get("switches", "")
    try:
        switches = json.loads(text if len(text) <= MAX_SWITCHES else "")
    except (ValueError, RecursionError):
        switches = None
    if not isinstance(switches, dict):
        raise _Unclear("The switches are not one JSON object")
    await shop.set_switches(switches)
    return _done("Set the switches of Xendit's simulator")


_CHOICES: Mapping[str, Any] = {
    "ends": ENDS,
    "poison": POISON,
    "presets": PRESETS,
    "topics": sorted(PRODUCERS),
    "max_orders": MAX_ORDERS,
    "max_quantity": MAX_QUANTITY,
    "max_buyers": MAX_BUYERS,
}
_WORKS: Mapping[str, Callable[[Visit, Shop, Fields], Awaitable[Done]]] = {
    "place": _place,
    "end": _end,
    "race": _race,
    "poison": _poison,
    "preset": _preset,
    "switches": _switches,
}


def _number(fields: Fields, name: str, most: int, least: int = 1) -> int:
    text = fields.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise _Unclear(f"The field {name} is not a whole number from {least} to {most:,}")
    return int(text)


def _one_of(fields: Fields, name: str, choices: Mapping[str, object]) -> str:
    value = fields.get(name, "")
    if value not in choices:
        raise _Unclear(f"The field {name} has no known value")
    return value
