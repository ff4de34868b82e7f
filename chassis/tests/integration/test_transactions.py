"""Transactions of other producers: what is committed is read, what is aborted or still open is not, and none is lag."""

import time

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import REGISTRY

from chassis.kafka import lag as module
from testkit import eventually

from .conftest import Join, Topic


def lag(topic: Topic) -> float | None:
    return REGISTRY.get_sample_value("gocommerce_consumer_lag_messages", {"topic": topic.name, "partition": "0"})


async def committed(topic: Topic, offset: int) -> None:
    async def reached() -> bool:
        return await topic.committed(f"g-{topic.name}") == offset

    await eventually(reached, 20)


@pytest.fixture(autouse=True)
def frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_S", 0.2)
    monkeypatch.setattr("chassis.kafka.partition.FETCH_TIMEOUT_MS", 1_000)


@pytest.mark.parametrize("first", [b"1", None])
async def test_markers_and_what_was_aborted_are_no_lag(topic: Topic, join: Join, first: bytes | None) -> None:
    if first:
        await topic.send(first)
    await topic.transact(b"aborted", b"aborted", commit=False)
    member = join()
    await eventually(lambda: lag(topic) == 0, 30)
    end = 4 if first else 3
    await committed(topic, end)
    await topic.transact(b"committed")
    await eventually(lambda: member.handled == [*([first] if first else []), b"committed"], 20)
    await eventually(lambda: lag(topic) == 0, 30)
    await committed(topic, end + 2)


async def test_what_waits_behind_an_open_transaction_is_lag_until_it_ends(topic: Topic, join: Join) -> None:
    member = join()
    await topic.send(b"1")
    await eventually(lambda: lag(topic) == 0, 20)
    producer = AIOKafkaProducer(bootstrap_servers=topic.broker, transactional_id=f"x-{topic.name}")
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(topic.name, b"open", key=b"order-1")
    for number in range(10):
        await topic.send(b"%d" % number)
    await eventually(lambda: lag(topic) == 11, 20)
    seen_ms = time.time() * 1000
    await eventually(lambda: member.fetched_ms(topic.name) > seen_ms)
    assert (lag(topic), member.handled) == (11, [b"1"])
    await producer.abort_transaction()
    await producer.stop()
    await eventually(lambda: lag(topic) == 0, 20)
    assert len(member.handled) == 11
