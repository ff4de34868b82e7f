"""Dead letters: the groups of one cause, their letters, one letter, and the journal of what was done."""

from itertools import islice
from typing import Annotated, Any

from fastapi import Path, Query, Response

from chassis.errors import Invalid, NotFound
from chassis.http.routing import Router
from chassis.kafka.topic_settings import dlq
from console.client.admin_api import NoAnswer
from console.client.letter_box import Contents
from console.client.letter_store import PAGE_S
from console.handler import live
from console.handler.asking import asking
from console.handler.letter_choice import MAX_CHOSEN
from console.handler.schemas import contract
from console.handler.visit import Visit, Visitor
from console.model.items import groups
from console.model.letters import Letter, source_topic
from console.model.records import Event
from console.usecase.find_applied import find_applied

router = Router(include_in_schema=False)

# Letters and entries of one page.
SHOWN = 100
# Runs on the page of the groups.
RUNS_SHOWN = 5

Flag = Annotated[str, Query(max_length=5)]
GroupName = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
Topic = Annotated[str, Path(max_length=100)]
Place = Annotated[str, Path(max_length=40)]
Skipped = Annotated[int, Query(ge=0, le=1_000_000)]


async def look(visit: Visit, *, handled: bool = False) -> tuple[Contents, str]:
    """Read the letters; without Kafka there are none, and a sentence that says so."""
    try:
        return await visit.state.letters.look(handled=handled), ""
    except NoAnswer as error:
        return Contents([], 0), f"Kafka did not answer: {error}"


@live.page(router, "/dead-letters")
async def dead_letters(visit: Visitor) -> Response:
    """Show the dead letters that are not handled, grouped by their cause."""
    contents, away = await look(visit)
    return visit.page(
        "dead_letters.html",
        part="parts/dead_letters.html",
        groups=groups(contents.items),
        contents=contents,
        away=away,
        runs=visit.state.runs.latest[:RUNS_SHOWN],
        says=away or _says(contents),
    )


def _says(contents: Contents) -> str:
    if contents.unread:
        return f"At least {len(contents.items)} dead letters are open; {contents.unread} more are not read"
    return f"{len(contents.items)} dead letters are open"


@router.get("/dead-letters/groups/{name}")
async def group(visit: Visitor, name: GroupName, skip: Skipped = 0, handled: Flag = "") -> Response:
    """Show the letters of one cause, oldest first; with `handled` also those that the journal has."""
    contents, away = await look(visit, handled=True)
    theirs = [item for item in contents.items if item.cause.name == name]
    if not theirs and not away and not contents.unread:
        return visit.message("Not found", "No letter with this cause is kept.", 404)
    open_ = [item for item in theirs if item.handled is None]
    shown = theirs if handled else open_
    return visit.page(
        "letter_group.html",
        group_name=name,
        cause=theirs[0].cause if theirs else None,
        items=shown[skip : skip + SHOWN],
        total=len(shown),
        open=len(open_),
        done=len(theirs) - len(open_),
        handled=bool(handled),
        skip=skip,
        step=SHOWN,
        most=MAX_CHOSEN,
        unread=contents.unread,
        away=away,
    )


@router.get("/dead-letters/letters/{topic}/{place}")
async def letter(visit: Visitor, topic: Topic, place: Place) -> Response:
    """Show one letter: key, headers, value, whether it was applied since, and what its order is now."""
    try:
        item = await visit.state.letters.pick(source_topic(topic), place, PAGE_S)
    except NoAnswer as error:
        return visit.page("letter.html", item=None, place=f"{topic} {place}", notes=[f"Kafka did not answer: {error}"])
    except (Invalid, NotFound) as error:
        return visit.message("Not found", str(error), 404)
    with asking(visit):
        order, notes = await _order_of(visit, item.letter)
        applied = await find_applied(visit.api, [item])
    return visit.page(
        "letter.html",
        item=item,
        place=f"{dlq(item.letter.topic)} {item.letter.place}",
        event=_event(item.letter),
        verdict=contract().verdict(item.letter.topic, item.letter.value),
        order=order,
        applied=applied,
        notes=[*notes, *applied.notes],
    )


async def _order_of(visit: Visit, letter: Letter) -> tuple[Any | None, list[str]]:
    """Return the present order of a letter, or None without one; and a note if orderfc did not answer."""
    if letter.order_id is None:
        return None, []
    try:
        return await visit.api.order(letter.order_id), []
    except NoAnswer as error:
        return None, [f"orderfc did not answer ({error}): what the order is now is missing"]


def _event(letter: Letter) -> Event:
    return Event(
        dlq(letter.topic), letter.partition, letter.offset, letter.time, letter.key, letter.headers, letter.value
    )


@router.get("/dead-letters/journal")
async def journal(visit: Visitor, skip: Skipped = 0) -> Response:
    """Show what was done with dead letters, by whom and why, the latest first."""
    _, away = await look(visit)
    found = visit.state.letters.journal
    return visit.page(
        "journal.html",
        entries=list(islice(found.latest(), skip, skip + SHOWN)),
        total=len(found),
        skip=skip,
        step=SHOWN,
        away=away,
    )
