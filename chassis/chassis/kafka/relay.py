"""The outbox relay: one active per service, it sends what has been committed and marks what has been acknowledged."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import asyncpg
import orjson
import structlog
from prometheus_client import Counter, Gauge

from chassis.config.settings import ServiceSettings
from chassis.db.database import Database
from chassis.db.outbox import OutboxRow
from chassis.errors import is_transient
from chassis.events import wire_headers
from chassis.failpoint import failpoint
from chassis.kafka.errors import is_broker_trouble, is_topic_trouble
from chassis.kafka.in_flight import Flight, waves
from chassis.kafka.producer import Producer
from chassis.loops import backoff, wait_any

log = structlog.get_logger(__name__)

PUBLISHED = Counter("outbox_published_total", "Events acknowledged by Kafka", ["topic"])
FAILED = Counter("outbox_failed_total", "Sends that failed", ["topic"])
PENDING = Gauge("outbox_pending", "Events committed and not yet acknowledged")
PARKED = Gauge("outbox_parked", "Events parked after the configured tries, tried again every five minutes")

# "outbox": any constant will do, because the lock lives in the service's own database.
_LOCK = 0x6F7574626F78
BATCH = 500
POLL_S = 0.5
STANDBY_S = 1.0
BACKOFF_CAP_S = 30
PARKED_RETRY_S = 300

# How long a batch waits for its slowest send before the next one is read beside it, and the last batch in all.
PATIENCE_S = 0.2
LAST_S = 5

# A key waits while one of its events is backing off, so that its order holds. NOT IN reads those keys once, into a hash;
# as a join the planner would choose by statistics which say, after a calm hour, that next to nothing waits, and read
# all that waits for each row of a sudden backlog. The hash must have room, or the same happens.
_ROOM = "SET work_mem = '64MB'"
_DUE = """
SELECT id, event_id, topic, key, payload::text AS payload, headers::text AS headers, created_at, attempts
FROM outbox
WHERE published_at IS NULL AND (next_attempt_at IS NULL OR next_attempt_at <= now())
  AND (topic, key) NOT IN (
    SELECT topic, key FROM outbox WHERE published_at IS NULL AND parked_at IS NULL AND next_attempt_at > now())
"""
_FIRST = _DUE + "ORDER BY id LIMIT $1"
# Beside sends that are under way: not their keys, and nothing of topics that have too many of them.
_BESIDE = f"""{_DUE}
  AND topic <> ALL($2::text[])
  AND (topic, key) NOT IN (SELECT * FROM unnest($3::text[], $4::text[]))
ORDER BY id LIMIT $1
"""
_MARK = (
    "UPDATE outbox SET published_at = now(), last_error = NULL WHERE id = ANY($1::bigint[]) AND published_at IS NULL"
)
_FAIL = """
UPDATE outbox SET attempts = attempts + 1, last_error = left($2, 500),
  parked_at = CASE WHEN attempts + 1 >= $3 THEN coalesce(parked_at, now()) END,
  next_attempt_at = now() + CASE WHEN attempts + 1 >= $3 THEN $5::float8 ELSE $4::float8 END * interval '1 second'
WHERE id = $1 AND published_at IS NULL
RETURNING parked_at IS NOT NULL AS parked, parked_at = now() AS newly_parked
"""
_RETRY_NOW = """
UPDATE outbox SET next_attempt_at = now()
WHERE published_at IS NULL AND next_attempt_at > now() AND topic <> ALL($1::text[])
"""
_COUNT = """
SELECT count(*) FILTER (WHERE parked_at IS NULL) AS pending, count(*) FILTER (WHERE parked_at IS NOT NULL) AS parked
FROM outbox WHERE published_at IS NULL
"""


Hook = Callable[[asyncpg.Connection, Sequence[OutboxRow]], Awaitable[None]]


class Relay:
    """Polls the outbox in id order by flag (never by a cursor: a later commit may hold the lower id).

    Everything is done on the session that holds the advisory lock: a relay that lost its session can't mark a row.
    `on_published` and `on_parked` run in the transaction that marks the rows; `on_parked` again at each failure of a
    parked event, so that what it keeps shows the last one.
    """

    name = "relay"

    def __init__(
        self,
        settings: ServiceSettings,
        db: Database,
        producer: Producer,
        *,
        on_published: Hook | None = None,
        on_parked: Hook | None = None,
    ) -> None:
        self._settings = settings
        self._db = db
        self._producer = producer
        self._on_published = on_published
        self._on_parked = on_parked
        self._flight = Flight(self._send)
        # The broker does not answer; or it does, and says that these topics can't be written to.
        self._broker_away = False
        self._refused: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set; then send what is already committed, for at most 5 s and unless the broker is away."""
        failures = 0
        while not stop.is_set():
            try:
                await self._lead(stop)
                failures = 0
            except Exception as error:
                if not is_transient(error):
                    raise
                failures += 1
                log.warning("relay lost its database session", error=str(error))
                await wait_any(backoff(failures, 0.4, 5.0), stop)

    async def _lead(self, stop: asyncio.Event) -> None:
        connection = await self._db.dedicated()
        try:
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                await wait_any(STANDBY_S, stop)
                if stop.is_set():
                    return
            await connection.execute(_ROOM)
            log.info("relay is active")
            await self._drain_until(stop, connection)
        finally:
            # What is under way can't be marked without this session: the next one sends it again.
            self._flight.abandon()
            with suppress(Exception):
                await connection.close(timeout=2)

    async def _drain_until(self, stop: asyncio.Event, connection: asyncpg.Connection) -> None:
        while not stop.is_set():
            self._db.relay_wake.clear()
            if not await self.drain_once(connection):
                await self._report(connection)
                await wait_any(POLL_S, stop, self._db.relay_wake, self._flight.ended)
        if self._broker_away:
            log.warning("the broker is away: what is committed goes out after the next start")
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                while await self.drain_once(connection) or self._flight:
                    await wait_any(POLL_S if self._flight else 0, self._flight.ended)

    async def drain_once(self, connection: asyncpg.Connection) -> bool:
        """Send one batch, beside what is under way; True when there may be more to send at once."""
        rows = await self._due(connection)
        held = self._flight.keys()
        sent_any = await self._settle(connection, held)
        for wave in waves(rows):
            await failpoint("relay.before_send")
            await self._flight.launch([row for row in wave if (row.topic, row.key) not in held], PATIENCE_S)
            await failpoint("relay.after_send")
            sent_any = await self._settle(connection, held) or sent_any
            held |= self._flight.keys()
        return sent_any and (len(rows) == BATCH or bool(held))

    async def _due(self, connection: asyncpg.Connection) -> list[OutboxRow]:
        if not self._flight:
            return [_row(record) for record in await connection.fetch(_FIRST, BATCH)]
        topics, keys = zip(*self._flight.keys(), strict=True)
        found = await connection.fetch(_BESIDE, BATCH, self._flight.full(), topics, keys)
        return [_row(record) for record in found]

    async def _settle(self, connection: asyncpg.Connection, held: set[tuple[str, str]]) -> bool:
        """Record what came of the sends that have ended; keys of failed ones are added to `held`. True if one went out."""
        sent, failed = self._flight.landed()
        await self._mark(connection, sent)
        topics = {row.topic for row in sent}
        if topics and (self._broker_away or self._refused & topics):
            # It is back: what waits in a backoff need not wait it out.
            self._broker_away = False
            self._refused -= topics
            await connection.execute(_RETRY_NOW, list(self._refused))
        for row, error in failed:
            held.add((row.topic, row.key))
            await self._fail(connection, row, error)
        return bool(sent)

    async def _send(self, row: OutboxRow) -> None:
        headers = wire_headers(self._settings.service, row.event_id, row.topic, row.created_at, row.headers)
        encoded = [(name, value.encode()) for name, value in headers.items()]
        await self._producer.send(row.topic, row.payload.encode(), row.key.encode(), encoded)

    async def _mark(self, connection: asyncpg.Connection, rows: Sequence[OutboxRow]) -> None:
        if not rows:
            return
        async with connection.transaction():
            await connection.execute(_MARK, [row.id for row in rows])
            if self._on_published:
                await self._on_published(connection, rows)
        for row in rows:
            PUBLISHED.labels(row.topic).inc()

    async def _fail(self, connection: asyncpg.Connection, row: OutboxRow, error: BaseException) -> None:
        FAILED.labels(row.topic).inc()
        if is_topic_trouble(error):
            self._refused.add(row.topic)
        else:
            self._broker_away = self._broker_away or is_broker_trouble(error)
        text = f"{type(error).__name__}: {error}"
        tried = replace(row, attempts=row.attempts + 1, error=text)
        wait = backoff(tried.attempts, 1.0, BACKOFF_CAP_S)
        async with connection.transaction():
            state = await connection.fetchrow(
                _FAIL, row.id, text, self._settings.outbox_max_tries, wait, float(PARKED_RETRY_S)
            )
            if state and state["parked"] and self._on_parked:
                await self._on_parked(connection, [tried])
        newly_parked = state is not None and state["newly_parked"]
        (log.error if newly_parked else log.warning)(
            "event parked" if newly_parked else "event not published",
            event_id=str(row.event_id), topic=row.topic, key=row.key, attempts=tried.attempts, error=text,
        )  # fmt: skip

    async def _report(self, connection: asyncpg.Connection) -> None:
        counts = await connection.fetchrow(_COUNT)
        if counts:
            PENDING.set(counts["pending"])
            PARKED.set(counts["parked"])


def _row(record: asyncpg.Record) -> OutboxRow:
    return OutboxRow(
        record["id"], record["event_id"], record["topic"], record["key"], record["payload"],
        orjson.loads(record["headers"]), record["created_at"], record["attempts"],
    )  # fmt: skip
