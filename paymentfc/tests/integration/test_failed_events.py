"""Parked events: listed with their last error, and with the time at which they were sent again."""

from collections.abc import Iterable

import pytest

from chassis.kafka.producer import Place, Producer
from chassis.kafka.relay import Relay
from paymentfc.repository import failed_events, published
from paymentfc.repository.audit import Admin
from paymentfc.usecase.retry_event import retry_event

from .bench import Bench


class Broker(Producer):
    """Fails every send while `away`."""

    def __init__(self) -> None:
        self.away = True

    def partition_of(self, topic: str, key: str) -> int | None:
        return None

    async def send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Iterable[tuple[str, bytes]]
    ) -> Place:
        if self.away:
            raise OSError("away")
        return Place(0, 0)


class Sending:
    """A relay that a test drives."""

    def __init__(self, bench: Bench) -> None:
        self.broker = Broker()
        self._db = bench.db
        self._relay = Relay(
            bench.settings,
            bench.db,
            self.broker,
            on_published=published.note_published,
            on_parked=failed_events.add_parked,
        )

    async def __call__(self) -> None:
        """Try once to send every waiting event."""
        connection = await self._db.dedicated()
        await connection.execute("UPDATE outbox SET next_attempt_at = NULL WHERE published_at IS NULL")
        await self._relay.drain_once(connection)
        await connection.close()


@pytest.fixture
async def sending(bench: Bench) -> Sending:
    """A relay with one event that it could not send in the configured tries."""
    await bench.callback(await bench.invoiced())
    await bench.execute("UPDATE outbox SET attempts = $1", bench.settings.outbox_max_tries - 1)
    sending = Sending(bench)
    await sending()
    return sending


async def row(bench: Bench) -> dict[str, object]:
    [found] = await bench.rows("SELECT id, attempts, error, retried_at FROM failed_events")
    return found


async def test_a_parked_event_shows_its_later_failures(bench: Bench, sending: Sending) -> None:
    first = await row(bench)
    await sending()
    assert first["attempts"] == bench.settings.outbox_max_tries
    assert await row(bench) == {**first, "attempts": bench.settings.outbox_max_tries + 1}


async def test_a_retry_makes_a_waiting_event_due_and_says_when(bench: Bench, sending: Sending) -> None:
    shown = await retry_event(bench.db, Admin(9, "127.0.0.1"), int(str((await row(bench))["id"])))
    assert shown["retried_at"] is not None
    assert shown == {**shown, **await row(bench)}
    due = "SELECT count(*) AS n FROM outbox WHERE published_at IS NULL AND next_attempt_at <= now()"
    assert await bench.rows(due) == [{"n": 1}]


async def test_a_retry_of_an_event_that_is_out_changes_nothing(bench: Bench, sending: Sending) -> None:
    sending.broker.away = False
    await sending()
    sent = await row(bench)
    assert sent["retried_at"] is not None
    shown = await retry_event(bench.db, Admin(9, "127.0.0.1"), int(str(sent["id"])))
    assert shown["retried_at"] == sent["retried_at"]
    assert await row(bench) == sent
    assert await bench.rows("SELECT 1 FROM outbox WHERE published_at IS NULL") == []
