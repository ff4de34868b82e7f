"""The orders of all customers: a list with filters, and the same as a file for a spreadsheet."""

from typing import Annotated, Any

from fastapi import Depends, Query, Response

from chassis.http.routing import Router
from chassis.ids import PathId
from console.handler.asking import asking
from console.handler.visit import Visit, Visitor
from console.model.order_filters import STATUSES, Unclear, Wanted
from console.model.steps import GUIDES
from console.model.tables import as_csv
from console.usecase.list_orders import Orders, Sources, all_orders, list_orders

router = Router(include_in_schema=False)

Text = Annotated[str, Query(max_length=320)]
From = Annotated[str, Query(alias="from", max_length=40)]
To = Annotated[str, Query(alias="to", max_length=40)]
_COLUMNS = (
    "order_id",
    "status",
    "user_id",
    "total_amount",
    "currency",
    "total_qty",
    "payment_method",
    "created_at",
    "updated_at",
)
_OF_WAITS = ("waits_for", "waits_since", "waits_because", "what_to_do")


async def _typed(
    status: Text = "",
    customer: Text = "",
    product: Text = "",
    step: Text = "",
    placed_from: From = "",
    placed_to: To = "",
) -> dict[str, str]:
    """Return the fields of the form, as they were typed."""
    return {
        "status": status,
        "customer": customer,
        "product": product,
        "step": step,
        "from": placed_from,
        "to": placed_to,
    }


Typed = Annotated[dict[str, str], Depends(_typed)]


@router.get("/orders")
async def orders_page(visit: Visitor, typed: Typed, before: PathId | None = None) -> Response:
    """Show a page of the orders that fit the filters, newest first."""
    try:
        wanted = Wanted.read(typed)
    except Unclear as error:
        return visit.page("orders.html", 400, **_page(typed, Orders(problem=str(error))))
    with asking(visit):
        found = await list_orders(_sources(visit), wanted, before)
    return visit.page("orders.html", **_page(typed, found, before))


def _sources(visit: Visit) -> Sources:
    return Sources(visit.api, visit.state.backlog, visit.state.letters)


def _page(typed: dict[str, str], found: Orders, before: int | None = None) -> dict[str, Any]:
    wanted = found.wanted
    return {
        "found": found,
        "before": before,
        "typed": typed,
        "statuses": [("", "Any"), *((name, name) for name in STATUSES)],
        "steps": [("", "Any or none"), *((step.value, guide.title) for step, guide in GUIDES.items())],
        "guide": wanted.step and GUIDES[wanted.step],
        "wanted": wanted,
        "query": wanted.query(),
        "next_url": found.next_before and f"/orders?{wanted.query(found.next_before)}",
    }


@router.get("/orders.csv")
async def orders_file(visit: Visitor, typed: Typed) -> Response:
    """Give the orders that fit the filters as a file, the newest first. Its last lines tell what is not in it."""
    try:
        wanted = Wanted.read(typed)
    except Unclear as error:
        return visit.message("Not clear", str(error), 400)
    with asking(visit):
        found = await all_orders(_sources(visit), wanted)
    if found.problem and found.unread:
        return visit.message("No answer", found.problem, 503)
    if found.problem:
        return visit.message("Not clear", found.problem, 400)
    if "orderfc" in found.unread:
        return visit.message("No answer", f"orderfc did not answer ({found.unread['orderfc']}).", 503)
    columns = _COLUMNS if wanted.step is None else (*_COLUMNS, *_OF_WAITS)
    lines = [[*(row[name] for name in _COLUMNS), *_wait(found, row["order_id"])] for row in found.rows]
    lines += [[line] for line in _missing(found)]
    headers = {"Content-Disposition": 'attachment; filename="orders.csv"', "Cache-Control": "no-store"}
    return Response(as_csv(columns, lines), media_type="text/csv; charset=utf-8", headers=headers)


def _wait(found: Orders, order_id: int) -> list[object]:
    wait = found.waits.get(order_id)
    return [wait.step.value, wait.since.isoformat(), wait.because, wait.next] if wait else []


def _missing(found: Orders) -> list[str]:
    lines = [f"{name} did not answer ({reason}): what it knows is missing" for name, reason in found.unread.items()]
    lines += found.notes
    if found.is_cut:
        so_far = f"{len(found.rows)} fit so far"
        lines.append(f"Only part of the orders was looked at ({so_far}): narrow the time, or go through the pages")
    return lines
