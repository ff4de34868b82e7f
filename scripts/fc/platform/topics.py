"""What is on the topics of the saga: who publishes, the identities of events, and what records say."""

from uuid import UUID

from chassis.events import identity
from console.model.keys import DEAD_LETTERS, letter_event, order_in, time_of
from console.model.saga import CONSUMERS, PRODUCERS, PUBLISHERS

__all__ = [
    "CONSUMERS",
    "DEAD_LETTERS",
    "GROUPS",
    "PRODUCERS",
    "PUBLISHERS",
    "event_identity",
    "is_uuid",
    "letter_event",
    "order_in",
    "time_of",
]

GROUPS = tuple(dict.fromkeys(service for services in CONSUMERS.values() for service in services))
"""The consumer groups, which have the names of the services."""


def event_identity(topic: str, event_id: UUID) -> UUID:
    """Return the identity, as inboxes have it, of an event that the producer of its topic has in its outbox."""
    return identity(PRODUCERS.get(topic, ""), topic, str(event_id))


def is_uuid(event_id: str) -> bool:
    """Whether an event id is one that an outbox can have."""
    try:
        return str(UUID(event_id)) == event_id
    except ValueError:
        return False
