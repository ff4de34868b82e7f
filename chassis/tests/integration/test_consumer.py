"""The consumer and its messages on a real broker: outages, values that the database refuses, and dead letters."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from chassis.db.database import Database
from chassis.errors import InvalidMessage, NotYet
from chassis.events import Message
from testkit import eventually

from .conftest import Join, Topic


@pytest.mark.parametrize(
    ("sqlstate", "what"),
    [
        ("53100", "disk full"),
        ("28P01", "wrong password"),
        ("42P01", "no such table"),
        ("40P01", "deadlock"),
    ],
)
async def test_a_database_that_can_not_serve_costs_no_message(
    topic: Topic, join: Join, database: Database, sqlstate: str, what: str
) -> None:
    member = join(consumer_max_tries=2)
    runs: list[bytes | None] = []

    async def handle(message: Message) -> None:
        runs.append(message.value)
        async with database.transaction() as tx:
            if len(runs) <= 3:
                await tx.driver().execute(f"DO $$ BEGIN RAISE EXCEPTION '{what}' USING ERRCODE = '{sqlstate}'; END $$")

    member.handle = handle
    await topic.send(b"1", b"order-1")
    await topic.send(b"2", b"order-2")
    await eventually(lambda: member.handled == [b"1", b"2"], 40)
    assert runs == [b"1"] * 4 + [b"2"]
    assert await topic.dead_letters() == []


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param("SELECT 1 / 0", id="data exception"),
        pytest.param("INSERT INTO small VALUES (1), (1)", id="unique violation"),
        pytest.param("INSERT INTO small VALUES (-1)", id="check violation"),
    ],
)
async def test_values_that_the_database_refuses_are_the_messages_fault_and_delay_nobody_else(
    topic: Topic, join: Join, database: Database, sql: str
) -> None:
    async with database.driver() as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS small (id int PRIMARY KEY CHECK (id > 0))")
    member = join(consumer_max_tries=2)

    async def handle(message: Message) -> None:
        async with database.transaction() as tx:
            if message.value == b"bad":
                await tx.driver().execute(sql)

    member.handle = handle
    await topic.send(b"bad", b"order-1")
    await topic.send(b"good", b"order-2")
    await eventually(lambda: member.handled == [b"good"], 20)
    [letter] = await eventually(topic.dead_letters, 20)
    assert (letter.value, dict(letter.headers)["x-reason"]) == (b"bad", b"handler_failed")
    assert dict(letter.headers)["x-attempts"] == b"2"


async def test_a_poison_message_as_large_as_the_broker_takes_reaches_its_dead_letter_topic(
    topic: Topic, join: Join
) -> None:
    member = join()

    async def handle(message: Message) -> None:
        if (message.value or b"").startswith(b"!"):
            raise InvalidMessage("invalid_json", "value: not JSON")

    member.handle = handle
    poison = b"!" + bytes(1_048_400)
    await topic.send(poison)
    await topic.send(b"ok", b"order-2")
    await eventually(lambda: member.handled == [b"ok"], 20)
    [letter] = await topic.dead_letters()
    assert (letter.value == poison, letter.key) == (True, b"order-1")


async def test_a_poison_message_with_neither_key_nor_value_reaches_its_dead_letter_topic(
    topic: Topic, join: Join
) -> None:
    """aiokafka sends no such record, so it is written as an empty value."""
    member = join()

    async def handle(message: Message) -> None:
        if not message.value:
            raise InvalidMessage("null_value", "the message has no value")

    member.handle = handle
    await topic.send(None, None)
    await topic.send(b"ok")
    await eventually(lambda: member.handled == [b"ok"], 20)
    [letter] = await topic.dead_letters()
    assert (letter.value, letter.key) == (b"", None)
    assert dict(letter.headers)["x-reason"] == b"null_value"


async def test_offsets_of_what_was_done_are_kept_when_the_member_leaves(topic: Topic, join: Join) -> None:
    member = join()

    async def handle(message: Message) -> None:
        if message.value == b"early":
            raise NotYet("order 1 is not known here")

    member.handle = handle
    await topic.send(b"1")
    await topic.send(b"early", b"order-2")
    await topic.send(b"3", b"order-3")
    await eventually(lambda: member.handled == [b"1", b"3"], 20)
    await member.end()
    assert await topic.committed(f"g-{topic.name}") == 1
    again = join()
    await eventually(lambda: again.handled == [b"early", b"3"], 20)


@pytest.mark.parametrize("key", [b"order-%d", None], ids=["keys", "no keys"])
async def test_messages_for_unknown_orders_delay_others_by_less_than_ten_seconds(
    topic: Topic, join: Join, key: bytes | None
) -> None:
    """One in a hundred is early, of as many as arrive in 20 s at 500 a second."""
    member, total = join(), 10_000

    async def handle(message: Message) -> None:
        if (message.value or b"").endswith(b"00"):
            raise NotYet("the order is not known here")

    member.handle = handle
    await topic.send(b"first")
    await eventually(lambda: member.handled == [b"first"], 20)
    async with AIOKafkaProducer(bootstrap_servers=topic.broker, linger_ms=5) as producer:
        for start in range(0, total, 1000):
            numbers = range(start, start + 1000)
            sends = [await producer.send(topic.name, b"%d" % n, key=key and key % n, partition=0) for n in numbers]
            await asyncio.gather(*sends)
    await eventually(lambda: len(member.handled) >= 1 + total * 99 // 100, 10)
