"""How the relay splits a batch: in order within a key, in parallel across keys."""

from datetime import UTC, datetime
from uuid import uuid4

from chassis.db.outbox_queue import OutboxRow
from chassis.kafka.in_flight import one_per_key


def row(number: int, topic: str, key: str) -> OutboxRow:
    return OutboxRow(number, uuid4(), topic, key, "{}", {}, datetime.now(UTC), 0)


def test_a_wave_holds_each_key_once_so_that_the_next_event_waits_for_the_ack_of_the_former() -> None:
    rows = [row(1, "a", "k1"), row(2, "a", "k2"), row(3, "a", "k1"), row(4, "b", "k1"), row(5, "a", "k1")]
    assert [[item.id for item in chosen] for chosen in one_per_key(rows)] == [[1, 2, 4], [3], [5]]
