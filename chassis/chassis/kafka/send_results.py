"""Records the results of the relay's sends: in the outbox, in the service's hooks, in metrics and in the log."""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from chassis.db import outbox_queue
from chassis.db.outbox_queue import FIRST_PLACE, OutboxRow, Place, Session
from chassis.kafka.errors import is_broker_trouble, is_topic_trouble
from chassis.loops import backoff

log = structlog.get_logger(__name__)

BACKOFF_CAP_S = 30
PARKED_RETRY_S = 300

Hook = Callable[[Session, Sequence[OutboxRow]], Awaitable[None]]


class SendResults:
    """Records sends, and keeps what they say of the broker.

    `broker_away` is set while it does not answer. `refused_topics` are those that it does not let us write to.
    """

    def __init__(self, max_tries: int, on_published: Hook | None, on_parked: Hook | None) -> None:
        self._max_tries = max_tries
        self._on_published = on_published
        self._on_parked = on_parked
        self.broker_away = False
        self.refused_topics: set[str] = set()
        self._retry_behind: Place | None = None
        self._put_off = False

    async def published(self, session: Session, rows: Sequence[OutboxRow]) -> None:
        """Mark acknowledged events. When they end an outage, begin to end the backoff of all other events."""
        ids = [row.id for row in rows]
        if self._on_published is None:
            await outbox_queue.mark_published(session, ids)
        else:
            async with session.transaction():
                await outbox_queue.mark_published(session, ids)
                await self._on_published(session, rows)
        topics = {row.topic for row in rows}
        if self.broker_away or self.refused_topics & topics:
            self.broker_away = False
            self.refused_topics -= topics
            self._retry_behind = FIRST_PLACE
            await self.retry_some(session)

    @property
    def retrying(self) -> bool:
        """Whether the backoff of some events is still to be ended after an outage."""
        return self._retry_behind is not None

    async def retry_some(self, session: Session) -> None:
        """After an outage: end the backoff of the next batch of events. All at once would exceed the time limit."""
        if self._retry_behind is not None:
            self._retry_behind = await outbox_queue.retry_now(session, self._retry_behind, self.refused_topics)

    def take_put_off(self) -> bool:
        """Return whether an event was put off since the last call."""
        put_off, self._put_off = self._put_off, False
        return put_off

    async def failed(self, session: Session, row: OutboxRow, error: BaseException) -> None:
        """Count a failure of an event, and park the event after the configured tries."""
        self._put_off = True
        if is_topic_trouble(error):
            self.refused_topics.add(row.topic)
        elif is_broker_trouble(error):
            self.broker_away = True
        tried = row._replace(attempts=row.attempts + 1, error=f"{type(error).__name__}: {error}")
        async with session.transaction():
            parking = await outbox_queue.record_failure(
                session,
                tried,
                max_tries=self._max_tries,
                wait_s=backoff(tried.attempts, 1.0, BACKOFF_CAP_S),
                parked_wait_s=PARKED_RETRY_S,
            )
            if parking.parked and self._on_parked:
                await self._on_parked(session, [tried])
        fields = {"event_id": str(row.event_id), "topic": row.topic, "key": row.key, "attempts": tried.attempts}
        if parking.newly:
            log.error("event parked", **fields, error=tried.error)
        else:
            log.warning("event not published", **fields, error=tried.error)
