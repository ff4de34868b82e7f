"""What a person does with dead letters: a dry run, a confirmation with a reason, and the progress of the run."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Annotated

from fastapi import Path, Response
from fastapi.responses import RedirectResponse

from chassis.errors import Invalid
from chassis.http.body import KIB
from chassis.http.routing import Router, accepts
from console.client.letter_box import Contents
from console.handler import live
from console.handler.asking import asking
from console.handler.dead_letters import look
from console.handler.letter_choice import MAX_CHOSEN, Choice, of_form, of_query, written
from console.handler.visit import Visit, Visitor
from console.model.journal import Action
from console.usecase.find_applied import Applied, find_applied
from console.usecase.handle_letters import LetterCommand, plan
from console.usecase.letter_runs import Run

router = Router(include_in_schema=False)

MAX_REASON = 500
# Most runs are over by then, so that the first page that is seen has the result.
FIRST_LOOK_S = 1.0
# Steps of a run on its page, the latest.
STEPS_SHOWN = 200

_ACTIONS = {"replay": Action.REPLAYED, "discard": Action.DISCARDED}

RunName = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]


@router.get("/dead-letters/plan")
async def dry_run(visit: Visitor) -> Response:
    """Show what would be done with the chosen letters, and what is refused and why. Changes nothing."""
    query = dict(visit.request.query_params)
    command = _command(visit, query)
    contents, away = await look(visit, handled=True)
    again = [name for name in query if name not in ("action", "force", "reason")]
    choice = of_query(query, contents.items)
    return await _plan(visit, choice, command, contents, problem=away, again={n: query[n] for n in again})


@router.post("/dead-letters/runs")
@accepts(max_body=128 * KIB, form=True)
async def start(visit: Visitor) -> Response:
    """Begin to handle the letters of a dry run, unless something has changed since."""
    fields = await visit.form()
    command = _command(visit, fields)
    contents, away = await look(visit, handled=True)
    choice = of_form(fields.get("letters", ""), contents.items, force=command.force)
    steps = plan(choice.items, command)
    count = sum(step.refusal is None for step in steps)
    if problem := away or _problem(command, fields.get("count", ""), count):
        return await _plan(visit, choice, command, contents, problem=problem, status=200 if away else 409)
    run = visit.state.runs.start(choice.items, command)
    with suppress(TimeoutError):
        async with asyncio.timeout(FIRST_LOOK_S):
            await run.over.wait()
    return RedirectResponse(f"/dead-letters/runs/{run.name}", 303)


@live.page(router, "/dead-letters/runs/{name}")
async def run(visit: Visitor, name: RunName) -> Response:
    """Show how far a run is."""
    found: Run | None = visit.state.runs.by_name.get(name)
    if found is None:
        text = "This process of the console does not know the run. The journal has what was done."
        return visit.message("Not found", text, 404)
    state = found.problem or ("done" if found.ended_at else "at work")
    return visit.page(
        "letter_run.html",
        part="parts/letter_run.html",
        run=found,
        steps=found.steps[-STEPS_SHOWN:][::-1],
        steps_done=len(found.steps),
        says=f"{len(found.steps)} of {len(found.items)} letters, {state}",
    )


def _command(visit: Visit, fields: Mapping[str, str]) -> LetterCommand:
    """Read what is to be done. Raises Invalid."""
    action = _ACTIONS.get(fields.get("action", ""))
    if action is None:
        raise Invalid("action: should be replay or discard")
    reason = " ".join(fields.get("reason", "").split())
    if len(reason) > MAX_REASON:
        raise Invalid(f"reason: should have at most {MAX_REASON} characters")
    return LetterCommand(action, visit.who.email, reason, force=fields.get("force", "") == "on")


def _problem(command: LetterCommand, confirmed: str, count: int) -> str:
    """Return why a confirmed action does not begin; nothing when it may."""
    if not command.why:
        return "The journal needs a reason"
    if not count:
        return "Nothing is left to be done"
    if confirmed != str(count):
        return f"Since the dry run something has changed: look at it again, and confirm {count}"
    return ""


async def _plan(
    visit: Visit,
    choice: Choice,
    command: LetterCommand,
    contents: Contents,
    *,
    problem: str,
    status: int = 200,
    again: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """Show the plan. `again` are the parameters that choose the same letters in another dry run."""
    steps = plan(choice.items, command)
    with asking(visit):
        applied = await find_applied(visit.api, choice.items) if choice.items else Applied()
    return visit.page(
        "letter_plan.html",
        status,
        choice=choice,
        rows=list(zip(choice.items, steps, strict=True)),
        count=sum(step.refusal is None for step in steps),
        command=command,
        verb="replay" if command.action is Action.REPLAYED else "discard",
        letters=written(choice.items),
        applied=applied,
        unread=contents.unread,
        again=again,
        problem=problem,
        most=MAX_CHOSEN,
        max_reason=MAX_REASON,
    )
