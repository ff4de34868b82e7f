"""Messages as strangers and spoiled disks leave them: none stops a service or a partition, each is applied or kept."""

import json
from collections.abc import Callable
from functools import partial
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition, codec
from aiokafka.partitioner import murmur2

from contracts.topics import CONSUMERS
from fc.demo.shop import poll
from testkit.batches import CODECS, batch, produce, record
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.consumers import CONSUMING, assert_completed_once, event_of
from tests.chaos.kit.records import Record, broker, ends, partitions, put
from tests.kit.bus import TOPICS, PublishedEvent

# Each test restarts services; on a busy machine a start takes many seconds.
pytestmark = pytest.mark.timeout(400)

COMPRESS = {
    "gzip": codec.gzip_encode,
    "snappy": codec.snappy_encode,
    "lz4": codec.lz4_encode,
    "zstd": codec.zstd_encode,
}


async def letters_with(arena: Arena, topic: str, reason: str, count: int) -> list[dict[str, str]]:
    """Wait for so many dead letters of a reason, and return their headers."""

    async def there() -> list[dict[str, str]] | None:
        found = [{n: v.decode() for n, v in each.headers} for each in await arena.bus.read(f"{topic}.dlq")]
        found = [headers for headers in found if headers["x-reason"] == reason]
        return found if len(found) >= count else None

    return list(await poll(there, f"{count} dead letters {reason} of {topic}", 60))


async def pass_over(arena: Arena, group: str, topic: str) -> None:
    """Commit the ends of a topic for a group whose members are stopped."""
    places = {TopicPartition(topic, number): end for number, end in (await ends(arena, topic)).items()}
    consumer = AIOKafkaConsumer(bootstrap_servers=broker(arena), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(places))
        await consumer.commit(places)
    finally:
        await consumer.stop()


async def sent_instead(
    arena: Arena, service: str, event: PublishedEvent, change: Callable[[PublishedEvent], PublishedEvent]
) -> None:
    """Let a stopped service find another form of an event in the place of the event."""
    await pass_over(arena, service, event.topic)
    changed = change(event)
    await put(arena, [Record(changed.topic, changed.key or b"", changed.value, changed.headers)])


@pytest.mark.fault(79)
async def test_batches_of_every_codec_are_read_and_what_can_not_be_unpacked_is_kept_with_its_place(
    arena: Arena,
) -> None:
    product, paid = await arena.placed(stock=20)
    await arena.complete(paid)
    await arena.bus.consumed()
    pids = {service: arena.pid(service) for service in CONSUMING}
    before = {topic: len(await arena.bus.read(f"{topic}.dlq")) for topic in TOPICS}
    for topic in TOPICS:
        good = [record(0, b"order-1", b"{", [(b"x-codec", name.encode())]) for name in COMPRESS]
        for (name, compress), each in zip(COMPRESS.items(), good, strict=True):
            await produce(broker(arena), topic, batch(bytes(compress(each)), 1, codec=CODECS[name]))
        bad = [record(0, b"a", b"{"), record(1, b"b", b"{", [(b"\xff", b"")]), record(2, b"c", b"{")]
        await produce(broker(arena), topic, batch(b"".join(bad), 3))
        arena.healed()
        for headers in await letters_with(arena, topic, "unreadable_record", len(CONSUMERS[topic])):
            assert headers["x-source-topic"] == topic
            assert headers["x-source-offset"].isdecimal()
        # Four codecs and the two good records beside the bad one are read, and refused for what they say.
        expected = before[topic] + len(CONSUMERS[topic]) * 7
        await poll(partial(_has_letters, arena, topic, expected), f"all letters of {topic}", 30)
    order = await arena.alice.checkout(product, 1)
    await arena.complete(order)
    assert {service: arena.pid(service) for service in CONSUMING} == pids
    await arena.exact()


async def _has_letters(arena: Arena, topic: str, count: int) -> bool:
    return len(await arena.bus.read(f"{topic}.dlq")) == count


@pytest.mark.fault(79)
async def test_a_batch_that_the_disk_has_spoiled_is_passed_and_those_around_it_are_applied(arena: Arena) -> None:
    product = await arena.back_office.product(stock=20)
    mark = uuid4().hex.encode()
    async with arena.stopped("productfc"):
        # productfc serves checkout too: the orders are in the topic before it stops.
        await produce(broker(arena), "stock.updated", batch(record(0, b"order-1", b'{"mark": "%s"}' % mark), 1))
        folder = arena.stack.programs.brokers[0].home / "data" / "stock.updated-0"
        [segment] = [file for file in folder.glob("*.log") if mark in file.read_bytes()]
        data = segment.read_bytes()
        with segment.open("r+b") as file:
            file.seek(data.index(mark))
            file.write(b"\0")
        await put(arena, [Record("stock.updated", b"order-1", b"{", [("x-after", mark)], partition=0)])

    async def kept() -> bool:
        letters = await letters_with(arena, "stock.updated", "unreadable_record", 1)
        return any(each["x-source-partition"] == "0" and "checksum" in each["x-error"] for each in letters)

    await poll(kept, "a dead letter for the spoiled batch", 60)
    with segment.open("r+b") as file:
        # A broker that is killed later would cut its log off at a spoiled batch when it recovers.
        file.seek(data.index(mark))
        file.write(mark[:1])
    order = await arena.alice.checkout(product, 2)
    await arena.complete(order)
    await arena.bus.consumed()
    await arena.exact()


@pytest.mark.fault(80)
async def test_a_message_that_inflates_beyond_what_a_dead_letter_can_hold_blocks_no_partition(arena: Arena) -> None:
    product = await arena.back_office.product(stock=20)
    large = batch(codec.gzip_encode(record(0, b"order-1", b"{" * (3 * 1024 * 1024))), 1, codec=1)
    bomb = batch(codec.gzip_encode(record(0, b"order-1", b"{" * (256 * 1024 * 1024))), 1, codec=1)
    for topic in TOPICS:
        for number in await partitions(arena, topic):
            await produce(broker(arena), topic, large, number)
            await produce(broker(arena), topic, bomb, number)
    arena.healed()
    order = await arena.alice.checkout(product, 1)
    await arena.complete(order)
    await arena.bus.consumed()
    for topic in TOPICS:
        count = len(CONSUMERS[topic]) * len(await partitions(arena, topic))
        letters = await letters_with(arena, topic, "message_too_large", count)
        assert sum(headers.get("x-value-length") == str(3 * 1024 * 1024) for headers in letters) == count
    await arena.exact()


@pytest.mark.fault(81)
async def test_events_for_unknown_orders_delay_no_other_by_the_time_that_they_wait(arena: Arena) -> None:
    product, paid = await arena.placed(stock=20)
    await arena.complete(paid)
    order = await arena.alice.checkout(product, 1)
    invoice = await arena.invoice(order)
    count = len(await partitions(arena, "payment.success"))
    place = (murmur2(f"order-{order}".encode()) & 0x7FFFFFFF) % count
    records = [
        Record("payment.success", b"order-%d" % number, b'{"order_id": %d, "status": "PAID"}' % number, (), place)
        for number in (10**12 + n if n % 100 == 0 else paid for n in range(1_200))
    ]
    await put(arena, records)
    arena.healed()
    await arena.shop.pay(invoice["invoice_id"])
    # One event for an unknown order waits 30 s.
    await arena.alice.wait_status(order, "completed", 25)
    assert len(await letters_with(arena, "payment.success", "not_yet", 12)) == 12
    await arena.exact()


@pytest.mark.fault(82)
@pytest.mark.parametrize("trace", [b"\0bad", b"x" * 1000])
async def test_an_event_with_an_invalid_trace_header_is_applied(arena: Arena, trace: bytes) -> None:
    product = await arena.back_office.product(stock=5)
    async with arena.stopped("paymentfc"):
        order = await arena.alice.checkout(product, 2)
        event = await event_of(arena, order, "order.created")
        headers = (*((name, value) for name, value in event.headers if name != "traceparent"), ("traceparent", trace))
        await sent_instead(
            arena, "paymentfc", event, lambda each: PublishedEvent(each.topic, each.key, each.value, headers)
        )
    await arena.pay(order)
    await assert_completed_once(arena, product, order, quantity=2, stock=3)
    [row] = await arena.sql("paymentfc", "SELECT traceparent FROM payments WHERE order_id = $1", order)
    assert row["traceparent"] is None
    await arena.exact()


@pytest.mark.fault(83)
async def test_a_rollback_whose_products_are_null_gives_the_stock_back(arena: Arena) -> None:
    product, order = await arena.placed(stock=5, quantity=2)
    invoice = await arena.invoice(order)
    await arena.back_office.wait_stock(product, 3)
    async with arena.stopped("productfc"):
        await arena.shop.expire(invoice["invoice_id"])
        event = await event_of(arena, order, "stock.rollback")
        value = json.dumps({"order_id": order, "products": None, "event_time": None}).encode()
        await sent_instead(
            arena, "productfc", event, lambda each: PublishedEvent(each.topic, each.key, value, each.headers)
        )
    await arena.back_office.wait_stock(product, 5)
    await arena.bus.consumed()
    await arena.exact()


@pytest.mark.fault(84)
async def test_an_event_whose_id_another_source_has_used_before_is_applied(arena: Arena) -> None:
    product, done = await arena.placed(stock=9, quantity=1)
    await arena.complete(done)
    order = await arena.alice.checkout(product, 2)
    invoice = await arena.invoice(order)
    async with arena.stopped("orderfc"):
        await arena.shop.pay(invoice["invoice_id"])
        event = await event_of(arena, order, "payment.success")
        await pass_over(arena, "orderfc", "payment.success")
        named = {name: value for name, value in event.headers if name not in ("ce_source", "ce_id")}
        ids = [("ce_id", dict(event.headers)["ce_id"])]
        other = json.dumps({"order_id": done, "status": "PAID"}).encode()
        copies = [
            Record(event.topic, event.key or b"", other, [*named.items(), *ids, ("ce_source", b"go")], 0),
            Record(event.topic, event.key or b"", event.value, event.headers, 0),
        ]
        await put(arena, copies[:1])
        await put(arena, copies[1:])
    await assert_completed_once(arena, product, order, quantity=2, stock=6)
    await arena.exact()
