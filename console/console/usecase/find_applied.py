"""Which dead letters' events were applied meanwhile: a replay of those changes nothing."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from console.client.admin_api import AdminApi, NoAnswer
from console.model.items import Item
from console.model.journal import LetterKey
from console.model.saga import CONSUMERS

# The most letters of one question that are looked up.
MAX_LOOKED_UP = 200


@dataclass(slots=True)
class Applied:
    """When each service applied the event of a letter, and the services that did not answer, with the reason.

    `unknown` are the letters of which a service did not say it, `left` how many were not looked up.
    """

    times: dict[LetterKey, list[tuple[str, datetime]]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    unknown: set[LetterKey] = field(default_factory=set)
    left: int = 0

    @property
    def notes(self) -> list[str]:
        away = [
            f"{service} did not answer ({why}): whether it has applied them since is unknown"
            for service, why in sorted(self.unread.items())
        ]
        if not self.left:
            return away
        left = f"whether the other {self.left} were applied since is unknown"
        return [*away, f"Only the first {MAX_LOOKED_UP} were looked up: {left}"]


async def find_applied(api: AdminApi, items: Sequence[Item]) -> Applied:
    """Ask the services whose letters they are. Raises Refused when one refuses the token."""
    found = Applied(left=max(len(items) - MAX_LOOKED_UP, 0), unknown={item.key for item in items[MAX_LOOKED_UP:]})
    asked: dict[str, list[tuple[Item, UUID]]] = defaultdict(list)
    for item in items[:MAX_LOOKED_UP]:
        for service in _waiting(item):
            asked[service].append((item, item.letter.identity))
    await asyncio.gather(*(_ask(api, service, theirs, found) for service, theirs in asked.items()))
    return found


def _waiting(item: Item) -> tuple[str, ...]:
    """Return the service that could not apply a letter; all consumers of its topic where that is not known."""
    consumers = CONSUMERS[item.letter.topic]
    return (item.letter.consumer,) if item.letter.consumer in consumers else consumers


async def _ask(api: AdminApi, service: str, theirs: list[tuple[Item, UUID]], found: Applied) -> None:
    try:
        times = await api.applied(service, sorted({identity for _, identity in theirs}))
    except NoAnswer as error:
        found.unread[service] = str(error)
        found.unknown |= {item.key for item, _ in theirs}
        return
    for item, identity in theirs:
        if at := times.get((service, identity)):
            found.times.setdefault(item.key, []).append((service, at))
