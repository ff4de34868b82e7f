"""The topics of Kafka: their records by order, time and place, and who consumes them."""

from typing import Annotated

from fastapi import Depends, Path, Query, Response

from chassis.http.routing import Router
from console.client.admin_api import NoAnswer
from console.handler import live
from console.handler.asking import asking
from console.handler.schemas import contract
from console.handler.visit import Visitor
from console.usecase.browse_events import Question, Unclear, browse_events

router = Router(include_in_schema=False)

Text = Annotated[str, Query(max_length=5_000)]
TopicName = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
Number = Annotated[int, Path(ge=0, le=10**18)]


def _question(
    order: Text = "", topic: Text = "", since: Text = "", partition: Text = "", offset: Text = "", onwards: Text = ""
) -> Question:
    return Question(order, topic, since, partition, offset, onwards)


@live.page(router, "/events")
async def events(visit: Visitor, question: Annotated[Question, Depends(_question)], paused: bool = False) -> Response:
    """Show the topics, and the records that are asked for. The newest of a topic change while they are looked at."""
    topics, reading, problem, away = [], None, "", ""
    try:
        topics = await visit.state.topics.all()
        if question.is_asked:
            with asking(visit):
                reading = await browse_events(visit.state.topics, visit.api, question)
    except Unclear as error:
        problem = str(error)
    except NoAnswer as error:
        away = f"Kafka did not answer: {error}"
    return visit.page(
        "events.html",
        400 if problem else 200,
        part="parts/events.html" if reading is not None and question.is_newest and not paused else "",
        topics=topics,
        asked=question,
        paused=paused,
        reading=reading,
        problem=problem,
        away=away,
        verdict=contract().verdict,
    )


@router.get("/events/groups")
async def groups(visit: Visitor) -> Response:
    """Show the consumer groups: positions, ends, lag, members."""
    found, away = [], ""
    try:
        found = await visit.state.groups.all()
    except NoAnswer as error:
        away = f"Kafka did not answer: {error}"
    return visit.page("groups.html", groups=found, away=away)


@router.get("/events/{topic}/{partition}/{offset}")
async def event(visit: Visitor, topic: TopicName, partition: Number, offset: Number) -> Response:
    """Show one record: headers, value, verdict, and where its ids lead."""
    place = f"{topic} {partition}:{offset}"
    try:
        found = await visit.state.topics.record(topic, partition, offset)
    except NoAnswer as error:
        return visit.page("event.html", place=place, event=None, away=f"Kafka did not answer: {error}")
    if found is None:
        return visit.message("Not found", f"No record is kept at {place}: it may have been removed by age.", 404)
    verdict = contract().verdict(found.origin, found.value)
    return visit.page("event.html", place=place, event=found, verdict=verdict, away="")
