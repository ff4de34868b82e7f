"""The events of an order in Kafka: it is read as the stores say, and without it the outboxes are shown alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from fc.ops import order_events
from fc.ops.kafka_records import KafkaRecords
from fc.platform.sources import Sources
from fc.stack.errors import StackError

PLACED = datetime(2026, 11, 28, tzinfo=UTC)
SASL = {
    "kafka_security_protocol": "SASL_PLAINTEXT",
    "kafka_sasl_username": "operator",
    "kafka_sasl_password": "of the operator",
}


class NoRows:
    """Databases that have nothing of an order."""

    async def fetch(self, *_question: object) -> list[object]:
        return []


async def notes(sources: Sources) -> list[str]:
    found = await order_events.find(sources, NoRows(), "order-42", PLACED)  # type: ignore[arg-type]
    return found.notes


async def test_kafka_is_read_by_the_user_of_the_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    @asynccontextmanager
    async def opened(address: str, **client: Any) -> AsyncIterator[None]:
        asked.update(client, address=address)
        raise StackError("no answer")
        yield

    monkeypatch.setattr(KafkaRecords, "opened", opened)
    assert await notes(Sources({}, "kafka.example.com:9093", kafka_settings=SASL)) == ["without Kafka: no answer"]
    assert (asked["address"], asked["security_protocol"]) == ("kafka.example.com:9093", "SASL_PLAINTEXT")
    assert (asked["sasl_plain_username"], asked["sasl_plain_password"]) == ("operator", "of the operator")


async def test_without_kafka_a_note_says_so() -> None:
    assert await notes(Sources({})) == ["without Kafka: Kafka is left out"]
