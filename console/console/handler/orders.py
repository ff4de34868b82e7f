"""The orders of all customers: a list with filters, and the same as a file for a spreadsheet."""

from typing import Annotated, Any

from fastapi import Query, Response

from chassis.http.routing import Router
from chassis.ids import PathId
from console.client.admin_api import NoAnswer
from console.handler.asking import asking
from console.handler.visit import Visitor
from console.model.tables import as_csv
from console.usecase.list_orders import STATUSES, Orders, Unclear, Wanted, all_orders, list_orders

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


@router.get("/orders")
async def orders_page(
    visit: Visitor,
    status: Text = "",
    customer: Text = "",
    placed_from: From = "",
    placed_to: To = "",
    before: PathId | None = None,
) -> Response:
    """Show a page of the orders that fit the filters, newest first."""
    typed = {"status": status, "customer": customer, "from": placed_from, "to": placed_to}
    try:
        wanted = Wanted.read(status, customer, placed_from, placed_to)
    except Unclear as error:
        return visit.page("orders.html", 400, found=Orders([], None, {}, {}, str(error)), **_page(typed, Wanted()))
    with asking(visit):
        found = await list_orders(visit.api, wanted, before)
    following = wanted.query(found.next_before) if found.next_before else ""
    return visit.page("orders.html", found=found, **_page(typed, wanted, following))


def _page(typed: dict[str, str], wanted: Wanted, following: str = "") -> dict[str, Any]:
    return {
        "typed": typed,
        "statuses": [("", "Any"), *((name, name) for name in STATUSES)],
        "query": wanted.query(),
        "next_url": following and f"/orders?{following}",
    }


@router.get("/orders.csv")
async def orders_file(
    visit: Visitor, status: Text = "", customer: Text = "", placed_from: From = "", placed_to: To = ""
) -> Response:
    """Give the orders that fit the filters as a file, the newest first, up to a bound that its last line tells."""
    try:
        with asking(visit):
            rows, more = await all_orders(visit.api, Wanted.read(status, customer, placed_from, placed_to))
    except Unclear as error:
        return visit.message("Not clear", str(error), 400)
    except NoAnswer as error:
        return visit.message("No answer", f"orderfc did not answer ({error}).", 503)
    lines: list[list[object]] = [[row[name] for name in _COLUMNS] for row in rows]
    if more:
        lines.append([f"Only the newest {len(rows)} orders are here: narrow the filters to get the others"])
    headers = {"Content-Disposition": 'attachment; filename="orders.csv"', "Cache-Control": "no-store"}
    return Response(as_csv(_COLUMNS, lines), media_type="text/csv; charset=utf-8", headers=headers)
