"""The routes: `/v1/admin/outbox`, `/v1/admin/inbox` and `/v1/admin/process`, for the role admin."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from chassis import __version__
from chassis.admin.inside import Inside, shown_settings
from chassis.admin.retry_event import retry_event
from chassis.admin.views import (
    EVENT_ID,
    MAX_LIMIT,
    AssignmentView,
    InboxView,
    LoopView,
    OutboxEvent,
    OutboxPage,
    OutboxQuery,
    ProcessView,
    Received,
    RelayView,
    RetryBody,
)
from chassis.auth.tokens import AdminUser
from chassis.config.settings import ServiceSettings
from chassis.db import inbox, outbox_admin, revisions
from chassis.db.database import Database
from chassis.db.outbox_admin import Page, Retry
from chassis.errors import Invalid
from chassis.http.address import client_address
from chassis.http.app import errors
from chassis.http.dependencies import Db, state
from chassis.http.routing import Router
from chassis.ids import PathId
from chassis.loops import LAST_RUNS

PREFIX = "/v1/admin"
_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# For the OpenAPI document only: `_parse_ids` checks the value, so that a refusal has a sentence of its own.
IDS_PATTERN = f"^{_UUID}(,{_UUID}){{0,{MAX_LIMIT - 1}}}$"

process_router = Router(prefix=PREFIX, tags=["administration"])
events_router = Router(prefix=PREFIX, tags=["administration"])

EventIds = Annotated[
    str,
    Query(
        description=(
            "Up to 100 identities of events, separated by commas. An identity is made of source, topic and id: see "
            "`chassis.events.identity`"
        ),
        examples=[EVENT_ID],
        json_schema_extra={"pattern": IDS_PATTERN},
    ),
]
Seen = Annotated[Inside, state("inside")]


def routers(*, has_events: bool) -> Sequence[APIRouter]:
    """Return the routers of a service; one without outbox and inbox has no routes for them."""
    return [events_router, process_router] if has_events else [process_router]


@events_router.get("/outbox", responses=errors(403), summary="List events that have not left")
async def list_outbox(_: AdminUser, db: Db, query: Annotated[OutboxQuery, Query()]) -> OutboxPage:
    """List the events that are committed and not published yet, page by page, or read one event by its id."""
    page = await _page(db, query)
    texts = {}
    if query.include == "payload":
        texts = await outbox_admin.payloads(db, [row["id"] for row in page.rows])
    items = [OutboxEvent.of(row, texts.get(row["id"])) for row in page.rows]
    return OutboxPage(items=items, next_after_id=page.next_after_id)


async def _page(db: Database, query: OutboxQuery) -> Page:
    if query.event_id is not None:
        return Page(await outbox_admin.of_event(db, query.event_id), None)
    if query.key is None:
        return await outbox_admin.page(
            db, topic=query.topic, state=query.state, after_id=query.after_id, limit=query.limit
        )
    if query.after_id is not None:
        raise Invalid("after_id: the events of a key have no pages")
    return Page(await outbox_admin.of_key(db, query.key, query.limit, topic=query.topic, state=query.state), None)


@events_router.post("/outbox/{row_id}/retry", responses=errors(403, 404, 503), summary="Send an event now")
async def retry_outbox(request: Request, row_id: PathId, body: RetryBody, user: AdminUser, db: Db) -> OutboxEvent:
    """Make an event due that backs off or is parked; any other stays as it is."""
    address = client_address(request, request.app.state.settings.trusted_proxies)
    retry = Retry(user.user_id, user.email, address, body.reason)
    return OutboxEvent.of(await retry_event(db, row_id, retry, request.app.state.on_retry))


@events_router.get("/inbox", responses=errors(403), summary="Which events were applied?")
async def read_inbox(_: AdminUser, request: Request, db: Db, event_ids: EventIds) -> InboxView:
    """Say which of these events this service has applied, and when. Unknown ones are left out."""
    settings: ServiceSettings = request.app.state.settings
    rows = await inbox.received(db, settings.service, _parse_ids(event_ids))
    return InboxView(consumer=settings.service, items=[Received.model_validate(dict(row)) for row in rows])


def _parse_ids(text: str) -> list[UUID]:
    parts = text.split(",", MAX_LIMIT)
    if len(parts) > MAX_LIMIT:
        raise Invalid(f"event_ids: should name at most {MAX_LIMIT} events")
    # UUID() takes other spellings too.
    if not all(re.fullmatch(_UUID, part) for part in parts):
        raise Invalid("event_ids: should be UUIDs, comma separated")
    return [UUID(part) for part in parts]


@process_router.get("/process", responses=errors(403), summary="What is the process doing?")
async def read_process(_: AdminUser, request: Request, inside: Seen) -> ProcessView:
    """Read from the memory of the process what it works on. Asks nobody else."""
    settings: ServiceSettings = request.app.state.settings
    relay, consumer = inside.relay, inside.consumer
    return ProcessView(
        service=settings.service,
        version=__version__,
        revision=revisions.head(settings.service),
        instance=inside.instance,
        started_at=inside.started_at,
        settings=shown_settings(settings),
        relay=None if relay is None else RelayView.model_validate(relay.standing),
        assignments=[AssignmentView.model_validate(each) for each in (consumer.standings() if consumer else ())],
        loops=[
            LoopView.model_validate({"name": name, "last_run_at": _moment(run.ended_at), "outcome": run.outcome})
            for name, run in sorted(LAST_RUNS.items())
        ],
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
