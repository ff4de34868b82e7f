"""Lists what has not left the outboxes, by the admin API of each service."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from chassis import clock
from console.client.admin_api import AdminApi, NoAnswer
from console.model.saga import PUBLISHERS
from console.model.unsent import UnsentEvent
from console.model.written import at_least

# The most events of one service and state that are listed.
MAX_LISTED = 100
PARKED, PENDING = "parked", "pending"


@dataclass(slots=True)
class Outbox:
    """The events of a service that have not left, parked ones first; `problem` says why they could not be read.

    `more` has the states of which there may be more: the service reads a bounded number of rows for a page, so a page
    may be empty although events of its state are behind.
    """

    service: str
    events: list[UnsentEvent] = field(default_factory=list)
    more: set[str] = field(default_factory=set)
    problem: str = ""

    @property
    def parked(self) -> int:
        return sum(event.parked_at is not None for event in self.events)

    @property
    def pending(self) -> int:
        return len(self.events) - self.parked

    def count(self, state: str) -> str:
        """Write the number of the events in a state; `unknown` where none was read and there may be some."""
        number = self.parked if state == PARKED else self.pending
        if self.problem or (not number and state in self.more):
            return "unknown"
        return at_least(number, is_whole=state not in self.more)


async def list_unsent(api: AdminApi, services: Sequence[str] = PUBLISHERS) -> list[Outbox]:
    """Ask the services at the same time. Raises Refused when one refuses the token."""
    return list(await asyncio.gather(*(_outbox(api, service) for service in services)))


async def _outbox(api: AdminApi, service: str) -> Outbox:
    found = Outbox(service)
    try:
        for state in (PARKED, PENDING):
            page = await api.get(service, "outbox", state=state, limit=MAX_LISTED)
            now = clock.now()
            rows = sorted(page["items"] if page else (), key=lambda row: int(row["id"]))
            found.events += [UnsentEvent.of_answer(service, row, now) for row in rows]
            if page is None or page["next_after_id"] is not None:
                found.more.add(state)
    except NoAnswer as error:
        found.problem = str(error)
    return found
