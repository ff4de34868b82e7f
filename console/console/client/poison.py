"""Sends records that no consumer can apply, to see what becomes of them."""

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from console.client.admin_api import NoAnswer

REQUEST_MS = 5_000


class PoisonSender:
    """Connects for each record: it is used by hand, in development."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._connection = connection

    async def send(self, topic: str, key: str, value: bytes | None) -> tuple[int, int]:
        """Send one record; return its partition and offset. Raises NoAnswer."""
        producer = AIOKafkaProducer(**self._connection, client_id="console-lab", request_timeout_ms=REQUEST_MS)
        try:
            await producer.start()
            sent = await producer.send_and_wait(topic, value, key=key.encode())
        except (KafkaError, OSError, TimeoutError) as error:
            raise NoAnswer(f"kafka: {type(error).__name__}") from None
        finally:
            await producer.stop()
        return sent.partition, sent.offset
