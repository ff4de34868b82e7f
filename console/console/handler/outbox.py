"""The outboxes: what is committed and has not left, and events sent now instead of at their next try."""

import re
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Response
from fastapi.responses import RedirectResponse

from chassis.errors import Invalid
from chassis.http.body import KIB
from chassis.http.routing import Router, accepts
from console.handler import live
from console.handler.asking import asking
from console.handler.letter_actions import MAX_REASON
from console.handler.visit import Visit, Visitor
from console.model.saga import PUBLISHERS
from console.usecase.list_unsent import MAX_LISTED, Outbox, list_unsent
from console.usecase.retry_events import retry_events

router = Router(include_in_schema=False)

_ROW = re.compile(r"[1-9]\d{0,17}", re.ASCII)
Count = Annotated[int | None, Query(ge=0, le=2 * MAX_LISTED)]


@live.page(router, "/outbox")
async def outbox(visit: Visitor, retried: Count = None, refused: Count = None) -> Response:
    """Show what has not left each outbox, parked events first."""
    with asking(visit):
        outboxes = await list_unsent(visit.api)
    return visit.page(
        "outbox.html",
        part="parts/outbox.html",
        outboxes=outboxes,
        retried=retried,
        refused=refused or 0,
        says=_says(outboxes),
    )


def _says(outboxes: Sequence[Outbox]) -> str:
    away = "".join(f"{each.service} did not answer; " for each in outboxes if each.problem)
    pending, parked = sum(each.pending for each in outboxes), sum(each.parked for each in outboxes)
    found = f"{pending} events are pending, {parked} are parked"
    return f"{away}at least {found}" if away or any(each.more for each in outboxes) else found


@router.get("/outbox/retry")
async def dry_run(visit: Visitor, service: Annotated[str, Query(max_length=20)]) -> Response:
    """Show which events would be sent now: those that are named, else all that wait. Changes nothing."""
    names = [name for name in visit.request.query_params if _ROW.fullmatch(name)]
    return await _confirm(visit, service, names or None)


@router.post("/outbox/retry")
@accepts(max_body=16 * KIB, form=True)
async def retry(visit: Visitor) -> Response:
    """Have the confirmed events sent now."""
    fields = await visit.form()
    service, names = _publisher(fields.get("service", "")), fields.get("rows", "").split()
    reason = " ".join(fields.get("reason", "").split())
    if not all(_ROW.fullmatch(name) for name in names) or len(names) > 2 * MAX_LISTED:
        raise Invalid("rows: should name events of the outbox")
    if not reason or len(reason) > MAX_REASON or not names:
        return await _confirm(visit, service, names, "A reason is needed, of at most 500 characters", 400)
    with asking(visit):
        done = await retry_events(visit.api, service, [int(name) for name in names], reason)
    refusals = [each for each in done if each.refusal]
    counts = {"retried": len(done) - len(refusals), "refused": len(names) - len(done) + len(refusals)}
    return RedirectResponse(f"/outbox?{urlencode(counts)}", 303)


async def _confirm(
    visit: Visit, name: str, names: Sequence[str] | None, problem: str = "", status: int = 200
) -> Response:
    service = _publisher(name)
    with asking(visit):
        [found] = await list_unsent(visit.api, [service])
    wanted = [event.id for event in found.events if event.waits] if names is None else list(map(int, names))
    chosen = [event for event in found.events if event.id in wanted]
    return visit.page(
        "outbox_retry.html",
        status,
        service=service,
        events=chosen,
        waiting=[event for event in chosen if event.waits],
        gone=len(wanted) - len(chosen),
        is_whole=not found.problem and not found.more,
        problem=problem or (f"{service} did not answer: {found.problem}" if found.problem else ""),
        max_reason=MAX_REASON,
    )


def _publisher(service: str) -> str:
    """Return the name of a service that has an outbox. Raises Invalid."""
    if service not in PUBLISHERS:
        raise Invalid(f"service: should be one of {', '.join(PUBLISHERS)}")
    return service
