"""The handlers of Kafka messages, as far as they need no database."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.contextvars import clear_contextvars, merge_contextvars
from structlog.testing import capture_logs

from chassis.config.settings import load
from chassis.db.database import Database
from chassis.events import Message
from paymentfc.config import Settings
from paymentfc.handler.kafka import handlers
from testkit import free_port


@pytest.fixture(autouse=True)
def _clean_log_context() -> Iterator[None]:
    clear_contextvars()
    yield
    clear_contextvars()


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("order.created", b'{"order_id": 7, "user_id": 3, "total_amount": 150000}'),
        ("stock.rejected", b'{"order_id": 7, "reason": "out of stock"}'),
        ("order.cancelled", b'{"order_id": 7, "reason": "by mistake"}'),
    ],
)
async def test_log_lines_about_a_failing_handler_name_the_order(topic: str, body: bytes) -> None:
    settings = load(Settings, db_host="127.0.0.1", db_port=free_port())
    db = Database(settings)
    table = handlers(db, settings, asyncio.Event(), asyncio.Event())
    lines: list[Any]
    with capture_logs(processors=[merge_contextvars]) as lines:
        try:
            await table[topic](Message.received(topic, 0, 0, b"order-7", body))
        except OSError:
            # The consumer writes its line in the same context.
            structlog.get_logger().warning("handler failed")
    await db.close()
    assert [(line["event"], line.get("order_id")) for line in lines] == [("handler failed", 7)]
