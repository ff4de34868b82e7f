"""The size of an event is that of what is sent, however short its text was."""

import pytest

from chassis.db import outbox_queue
from chassis.db.database import Database
from chassis.db.outbox import MAX_RECORD_BYTES
from chassis.events import Event, wire_headers

LINES = ",".join(f'{{"product_id":{n},"quantity":1}}' for n in range(1_000_001, 1_027_001))


async def publish(db: Database, event: Event) -> None:
    async with db.transaction() as tx:
        await tx.publish(Event("t", "k", "{}"), event)


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(Event("t", "k", f'{{"products":[{LINES}]}}'), id="blanks between 27,000 lines"),
        pytest.param(Event("t", "k", f"[{','.join(['1e9999'] * 101)}]"), id="numbers that are written out"),
        pytest.param(Event("t", "k", '"' + "é" * 499_990 + '"', headers={"tracestate": "x" * 100}), id="headers"),
        pytest.param(Event("t", "k", '"' + "\\u20ac" * 333_400 + '"'), id="three bytes per character"),
    ],
)
async def test_an_event_that_the_broker_would_refuse_is_refused_with_its_whole_transaction(
    db: Database, event: Event
) -> None:
    with pytest.raises(ValueError, match="event for t has more than 1000000 bytes"):
        await publish(db, event)
    async with db.driver() as connection:
        assert await connection.fetchval("SELECT count(*) FROM outbox") == 0


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param('"' + "x" * (MAX_RECORD_BYTES - 5) + '"', id="as long as the limit allows"),
        pytest.param('"' + "\\u0041" * 900_000 + '"', id="a longer text of a shorter value"),
    ],
)
async def test_what_is_accepted_fits_the_limit_of_a_kafka_broker(db: Database, payload: str) -> None:
    await publish(db, Event("t", "k", payload))
    session = await db.dedicated()
    [_, row] = (await outbox_queue.due(session, 10)).rows
    headers = wire_headers("orderfc", row.event_id, row.topic, row.created_at, row.headers)
    sent = len(row.payload.encode()) + sum(len(name) + len(value) for name, value in headers.items())
    assert sent + 1_000 < 1_048_588
    await session.close()
