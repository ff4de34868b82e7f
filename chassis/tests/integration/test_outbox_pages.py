"""What an administrator reads of the outbox while events leave it, and of the events of one key."""

from uuid import UUID

import pytest
from structlog.testing import capture_logs

from chassis.admin.retry_event import retry_event
from chassis.db import outbox_admin
from chassis.db.database import Database
from chassis.db.outbox_admin import Page, Retry, Unsent
from chassis.db.pool import PooledConnection
from chassis.events import Event


async def publish(db: Database, *places: tuple[str, str]) -> list[UUID]:
    events = [Event(topic, key, "{}") for topic, key in places]
    async with db.transaction() as tx:
        await tx.publish(*events)
    return [event.event_id for event in events]


async def change(db: Database, assignment: str, *event_ids: UUID) -> None:
    async with db.driver() as connection:
        await connection.execute(f"UPDATE outbox SET {assignment} WHERE event_id = ANY($1)", event_ids)


async def parked_page(db: Database, after_id: int | None) -> Page:
    return await outbox_admin.page(db, topic=None, state=Unsent.PARKED, after_id=after_id, limit=3, scan=5)


async def test_a_page_is_of_one_moment_while_events_leave(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    events = await publish(db, *(("topic", f"k{number:02}") for number in range(12)))
    await change(db, "parked_at = now()", events[10])
    read = PooledConnection.fetchval

    async def after_some_have_left(connection: PooledConnection, statement: str, *values: object) -> object:
        await change(db, "published_at = now()", *events[:8])
        return await read(connection, statement, *values)

    monkeypatch.setattr(PooledConnection, "fetchval", after_some_have_left)
    first = await parked_page(db, None)
    monkeypatch.undo()
    assert first.rows == []
    assert first.next_after_id is not None, "the page ended at its fifth row, and there are more"
    second = await parked_page(db, first.next_after_id)
    assert [row["event_id"] for row in second.rows] == [events[10]]


@pytest.mark.parametrize(
    ("topic", "state", "limit", "expected"),
    [
        (None, None, 2, [0, 1]),
        (None, None, 9, [0, 1, 2, 3]),
        ("a", None, 1, [2]),
        ("a", None, 9, [2, 3]),
        (None, Unsent.PARKED, 1, [1]),
        ("a", Unsent.PARKED, 1, [3]),
        ("a", Unsent.PENDING, 1, [2]),
        ("c", None, 9, []),
    ],
)
async def test_a_filter_chooses_among_all_events_of_a_key(
    db: Database, topic: str | None, state: Unsent | None, limit: int, expected: list[int]
) -> None:
    events = await publish(db, *((name, "order-7") for name in "bbaa"), ("a", "order-8"))
    await change(db, "parked_at = now()", events[1], events[3])
    rows = await outbox_admin.of_key(db, "order-7", limit, topic=topic, state=state)
    assert [row["event_id"] for row in rows] == [events[place] for place in expected]


async def test_the_line_of_a_retry_has_what_the_administrator_wrote_as_a_note_and_not_as_a_stable_code(
    db: Database,
) -> None:
    [event] = await publish(db, ("topic", "order-7"))
    [row] = await outbox_admin.of_event(db, event)
    with capture_logs() as lines:
        await retry_event(db, row["id"], Retry(9, "admin@example.com", "203.0.113.7", "the broker is back"), None)
    [line] = [line for line in lines if line["event"] == "admin.outbox_retried"]
    assert line["note"] == "the broker is back"
    assert "reason" not in line
