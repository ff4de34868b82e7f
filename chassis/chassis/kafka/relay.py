"""The outbox relay: one active per service, it sends committed events and marks those that Kafka has acknowledged."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from chassis import clock
from chassis.config.settings import ProcessSettings
from chassis.db import backlog, hints, outbox_queue
from chassis.db.database import Database
from chassis.db.outbox_queue import Due, OutboxRow, Session
from chassis.errors import is_transient
from chassis.failpoint import failpoint
from chassis.kafka.in_flight import Finished, InFlightSends
from chassis.kafka.producer import Producer
from chassis.kafka.send_results import Hook, SendResults
from chassis.kafka.sends import Key, Sends, key_of
from chassis.kafka.standing import RelayStanding
from chassis.kafka.stop_times import CLOSE_SHARE, LAST_SENDS_SHARE
from chassis.loops import backoff, wait_any

__all__ = ["Hook", "Relay"]

log = structlog.get_logger(__name__)

# The most rows of one read, within MAX_READ_BYTES. They are sent in several rounds if one can't take them all.
BATCH = 2_000
# Fallback poll, in case the wake-up (NOTIFY) was lost. Commits wake the relay at once.
POLL_S = 4.0
STANDBY_S = 1.0

# The relay of a frozen process loses its session, and with it the lock, after this time. A relay that runs never
# leaves its session idle for so long: it uses it at least every POLL_S.
IDLE_S = 10

# How long a batch waits while none of its sends ends, before the next batch is read beside them.
SLOW_SEND_S = 0.2
# After this time no further round of one read begins.
ROUNDS_S = 2.0


class _Rounds:
    """Sends rows in rounds, and records the results. A round has the rows that may be in flight together."""

    def __init__(self, sends: Sends, in_flight: InFlightSends, results: SendResults) -> None:
        self._sends = sends
        self._in_flight = in_flight
        self._results = results
        # Acknowledged by Kafka, not yet marked as published. Kept across database sessions, so that this relay's next
        # session marks these rows instead of sending them again.
        self._acknowledged: list[OutboxRow] = []

    async def send(self, session: Session, waiting: Sequence[OutboxRow]) -> list[OutboxRow]:
        """Send one round, and meanwhile mark the previous one. Returns the rows that are left."""
        marking = asyncio.ensure_future(self.mark(session))
        try:
            # Lets the statement start before the rows are encoded: both take about the same time.
            await asyncio.sleep(0)
            sends, rest = self._sends.divide(waiting)
            await failpoint("relay.before_send")
            await self._in_flight.wait(self._in_flight.start(sends), SLOW_SEND_S)
        finally:
            await marking
        await failpoint("relay.after_send")
        return rest

    async def settle(self, session: Session, *, mark_later: bool = False) -> Finished:
        """Record the results of the sends that have ended. With `mark_later` only failures: `mark` has to follow."""
        finished = self._take()
        # Before a failure of the same round is recorded: a mark ends an outage, and a failure begins one.
        if finished.failed or not mark_later:
            await self.mark(session)
        for row, error in finished.failed:
            await self._results.failed(session, row, error)
        self._sends.forget(finished.settled())
        self._sends.keep_apart(finished.refused)
        return finished

    def _take(self) -> Finished:
        finished = self._in_flight.take_finished()
        self._acknowledged += finished.sent
        return finished

    def abandon(self) -> None:
        """Forget the sends in flight. This session can't mark them any more, so the next one sends them again."""
        self._take()
        self._in_flight.cancel_all()
        self._sends.forget_all()

    async def mark(self, session: Session) -> None:
        """Mark the acknowledged rows as published."""
        if self._acknowledged:
            await self._results.published(session, self._acknowledged)
            self._acknowledged.clear()


class Relay:
    """Polls the outbox in id order by flag, never by a cursor: a later commit may hold the lower id.

    All statements run on the session that holds the advisory lock: a relay that has lost its session can't mark a row.
    `on_published` and `on_parked` run in the transaction that marks the rows; `on_parked` again at each failure of a
    parked event, so that its record shows the last one.
    """

    name = "relay"

    def __init__(
        self,
        settings: ProcessSettings,
        db: Database,
        producer: Producer,
        *,
        on_published: Hook | None = None,
        on_parked: Hook | None = None,
    ) -> None:
        self._db = db
        self._results = SendResults(settings.outbox_max_tries, on_published, on_parked)
        self._sends = Sends(settings.service, producer)
        self._in_flight = InFlightSends(self._sends.carry_out)
        self._rounds = _Rounds(self._sends, self._in_flight, self._results)
        # Sessions in a row that ended before a batch was sent and marked.
        self._failures = 0
        self._last_sends_s = settings.shutdown_timeout_s * LAST_SENDS_SHARE
        self._close_s = settings.shutdown_timeout_s * CLOSE_SHARE
        self._active_since: datetime | None = None

    @property
    def standing(self) -> RelayStanding:
        """What it does now, from memory."""
        in_flight = len(self._in_flight.keys())
        return RelayStanding(self._active_since, in_flight, self._results.broker_away, self._failures)

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set, then send what is committed, for a limited time and not if the broker is away."""
        while not stop.is_set():
            try:
                await self._run_as_leader(stop)
            except Exception as error:
                if not is_transient(error):
                    raise
                self._failures += 1
                log.warning("relay lost its database session", error=str(error))
                await wait_any(backoff(self._failures, 0.4, 5.0), stop)

    async def _run_as_leader(self, stop: asyncio.Event) -> None:
        session = await self._db.dedicated(idle_s=IDLE_S)
        try:
            while not await outbox_queue.try_lock(session):
                await _stand_by(self._db, stop, session)
                if stop.is_set():
                    return
            await outbox_queue.prepare(session)
            await hints.take(session, self._db.wake_relay)
            self._active_since = datetime.now(UTC)
            log.info("relay is active")
            await self._drain_until(stop, session)
        finally:
            self._active_since = None
            self._rounds.abandon()
            with suppress(Exception):
                await session.close(timeout=self._close_s)

    async def _drain_until(self, stop: asyncio.Event, session: Session) -> None:
        await self._rounds.settle(session)
        while not stop.is_set():
            self._db.relay_wake.clear()
            more = await self.drain_once(session)
            self._failures = 0
            if not more:
                await self._rest(stop, session)
        if self._results.broker_away:
            log.warning("the broker is away: what is committed goes out after the next start")
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._last_sends_s):
                while await self.drain_once(session) or self._in_flight:
                    await wait_any(POLL_S if self._in_flight else 0, self._in_flight.finished)

    async def _rest(self, stop: asyncio.Event, session: Session) -> None:
        """Wait for an event of this process, a hint, the end of a send, or what a look at the outbox finds due."""
        ends = tuple(filter(None, (stop, self._db.relay_wake, self._in_flight.finished, clock.moved())))
        # An event that has just failed is due before the next poll.
        wait_s = 0.0 if self._results.take_put_off() else POLL_S
        await wait_any(wait_s, *ends)
        while not any(end.is_set() for end in ends):
            due_in_s = await backlog.look(self._db, session)
            if due_in_s is not None and due_in_s <= 0:
                break
            await wait_any(POLL_S if due_in_s is None else min(due_in_s, POLL_S), *ends)

    async def drain_once(self, session: Session) -> bool:
        """Send what one read returns, beside the sends in flight. Returns True if there may be more to send at once.

        No round begins after ROUNDS_S: while a partition hangs each takes SLOW_SEND_S, and neither a stop is seen nor a
        statement sent.
        """
        due = await self._due(session)
        await self._results.retry_some(session)
        blocked = self._in_flight.keys()
        ended = [await self._rounds.settle(session)]
        blocked |= ended[0].unsent_keys()
        waiting = _without(due.rows, blocked)
        ends_at = asyncio.get_running_loop().time() + ROUNDS_S
        while waiting and asyncio.get_running_loop().time() < ends_at:
            rest = await self._rounds.send(session, waiting)
            ended.append(await self._rounds.settle(session, mark_later=True))
            blocked |= ended[-1].unsent_keys() | self._in_flight.keys()
            waiting = _without(rest, blocked)
        await self._rounds.mark(session)
        sent, refused = any(each.sent for each in ended), any(each.refused for each in ended)
        # A full batch without a row to send has put off rows whose keys wait; others may be due behind them.
        more = (due.more and not due.rows) or (sent and (due.more or bool(blocked)))
        return more or refused or bool(waiting) or self._results.retrying

    async def _due(self, session: Session) -> Due:
        return await outbox_queue.due(session, BATCH, self._in_flight.keys(), self._in_flight.full_topics())


async def _stand_by(db: Database, stop: asyncio.Event, session: Session) -> None:
    """Wait until it is time to try the lock again. Meanwhile tell its holder that this process commits events."""
    await wait_any(STANDBY_S, stop, db.relay_wake)
    if db.relay_wake.is_set():
        db.relay_wake.clear()
        await hints.give(session)
        await wait_any(hints.PAUSE_S, stop)


def _without(rows: Sequence[OutboxRow], keys: set[Key]) -> list[OutboxRow]:
    return [row for row in rows if key_of(row) not in keys] if keys else list(rows)
