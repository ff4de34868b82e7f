"""The money that a person has to look at, and what can be done about it."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import RedirectResponse

from chassis.http.body import KIB
from chassis.http.routing import Router, accepts
from chassis.ids import PathId
from console.client.admin_api import NoAnswer
from console.handler import live
from console.handler.asking import asking
from console.handler.visit import Visit, Visitor
from console.usecase.handle_money import Outcome, approve_refund, resolve_anomaly, settle_refund
from console.usecase.list_money import PAGE, REFUND_STATUSES, Money, Question, Tab, list_money

router = Router(include_in_schema=False)

MAX_NOTE = 1000
# Money of a wrong amount, or of an unknown status, holds its order: an administrator may end it.
CLOSABLE = ("amount_mismatch", "currency_mismatch", "unknown_status")
# What the page says after an action, by the word in its address.
_DONE: Mapping[str, str] = {
    "resolved": "The anomaly is resolved.",
    "due": "The anomaly is resolved, and the refund of its order is still due: approve it, or settle it after the "
    "money was given back by hand.",
    "approved": "Xendit is asked to give the money back.",
    "settled": "The refund is settled.",
}
Word = Annotated[str, Query(max_length=20)]


@live.page(router, "/money")
async def money_page(
    visit: Visitor,
    tab: Tab = Tab.ANOMALIES,
    status: Word = "DUE",
    resolved: bool = False,
    page: PathId = 1,
    done: Word = "",
) -> Response:
    """Show one of the lists, with the number of what is open in each."""
    question = Question(tab, status if status in REFUND_STATUSES else "DUE", resolved, page)
    return await _page(visit, question, notice=_DONE.get(done, ""))


async def _page(visit: Visit, question: Question, notice: str = "", problem: str = "", code: int = 200) -> Response:
    if problem:
        # The page answers an action, whose own address has no stream.
        visit.address = f"/money?tab={question.tab}&status={question.status}"
    with asking(visit):
        found = await list_money(visit.api, question)
    following = ""
    if question.tab is not Tab.CALLBACKS and question.page * PAGE < (found.total or 0):
        kept = f"tab={question.tab}&status={question.status}&resolved={str(question.resolved).lower()}"
        following = f"/money?{kept}&page={question.page + 1}"
    return visit.page(
        "money.html",
        code,
        part="parts/money.html",
        question=question,
        found=found,
        statuses=REFUND_STATUSES,
        closable=CLOSABLE,
        next_url=following,
        notice=notice,
        problem=problem,
        says=_says(found),
    )


def _says(found: Money) -> str:
    if found.unread:
        return "; ".join(f"{name} did not answer: what it knows is missing" for name in sorted(found.unread))
    return f"{found.count('anomalies')} anomalies and {found.open_refunds} refunds are open"


@router.post("/money/anomalies/{anomaly_id}/resolve")
@accepts(max_body=16 * KIB, form=True)
async def resolve(visit: Visitor, anomaly_id: PathId) -> Response:
    """Note what was done about an anomaly, and end its order where that is asked for."""
    fields = await visit.form()
    note = fields.get("note", "").strip()
    if problem := _unfit(note):
        return await _page(visit, Question(Tab.ANOMALIES), problem=problem, code=400)
    with asking(visit):
        outcome = await resolve_anomaly(visit.api, anomaly_id, note, close="close" in fields)
    return await _answer(visit, outcome, Question(Tab.ANOMALIES), "due" if outcome.still_due else "resolved")


@router.post("/money/refunds/{refund_id}/approve")
@accepts(max_body=16 * KIB, form=True)
async def approve(visit: Visitor, refund_id: PathId) -> Response:
    """Have Xendit give the money back."""
    await visit.form()
    with asking(visit):
        outcome = await approve_refund(visit.api, refund_id)
    return await _answer(visit, outcome, Question(Tab.REFUNDS, "REQUESTED"), "approved")


@router.post("/money/refunds/{refund_id}/settle")
@accepts(max_body=16 * KIB, form=True)
async def settle(visit: Visitor, refund_id: PathId) -> Response:
    """Note that a person has given the money back."""
    note = (await visit.form()).get("note", "").strip()
    if problem := _unfit(note):
        return await _page(visit, Question(Tab.REFUNDS), problem=problem, code=400)
    with asking(visit):
        outcome = await settle_refund(visit.api, refund_id, note)
    return await _answer(visit, outcome, Question(Tab.REFUNDS, "SETTLED"), "settled")


def _unfit(note: str) -> str:
    return "" if 0 < len(note) <= MAX_NOTE else f"A note is needed, of at most {MAX_NOTE} characters"


async def _answer(visit: Visit, outcome: Outcome, question: Question, done: str) -> Response:
    if outcome.row is None:
        return await _page(visit, question, problem=outcome.refusal, code=409)
    return RedirectResponse(f"/money?tab={question.tab}&status={question.status}&done={done}", 303)


@router.get("/money/invoices/{order_id}.pdf")
async def invoice(visit: Visitor, order_id: PathId) -> Response:
    """Give the invoice of an order, as paymentfc makes it."""
    try:
        with asking(visit):
            content = await visit.api.file("paymentfc", f"/v1/payments/invoice/{order_id}/pdf")
    except NoAnswer as error:
        return visit.message("No answer", f"paymentfc did not answer ({error}).", 503)
    if content is None:
        return visit.message("Not found", f"There is no invoice of order {order_id} yet.", 404)
    headers = {"Content-Disposition": f'inline; filename="invoice_{order_id}.pdf"', "Cache-Control": "no-store"}
    return Response(content, media_type="application/pdf", headers=headers)
