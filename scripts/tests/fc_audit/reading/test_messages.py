"""What the audit says of the topics and outboxes themselves, and of stock: what belongs to no single order."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from fc.audit.patience import Limits
from fc.audit.rules.rule import RULES, Level
from testkit.batches import batch, produce, record
from testkit.servers import Servers

from ..conftest import cloud_event, new_sample
from ..plants import PLANTS
from ..spoil import never_sent
from ..world import World, opened_world

KEY = b"order-12345678901234567"
ORDER = 12345678901234567


async def test_a_message_that_no_service_has_committed_is_a_ghost(world: World) -> None:
    await world.send([("payment.success", b"{}", KEY, cloud_event("payment.success", "paymentfc"))])
    report = await world.audit()
    assert "event_ghost" in {each.rule for each in report.findings if each.order_id == ORDER}
    assert report.exit_code == 1


async def test_messages_of_strangers_are_summed_up_per_topic(world: World) -> None:
    before = await world.audit()
    await world.send([("stock.rollback", b"{}", KEY, {}), ("stock.rollback", b"{}", KEY, {})])
    after = await world.audit()
    [found] = [
        each for each in after.findings if each.rule == "event_foreign" and each.subject == "topic stock.rollback"
    ]
    known = [
        each for each in before.findings if each.rule == "event_foreign" and each.subject == "topic stock.rollback"
    ]
    number = int(known[0].found.split()[0]) if known else 0
    assert found.found.startswith(f"{number + 2} others")


async def test_a_dead_letter_is_listed_with_its_reason_until_its_message_was_applied(world: World) -> None:
    made = new_sample("paid")
    event_id = made.event("payment.success")["event_id"]
    [received] = made.of("orderfc", "inbox")
    made.of("orderfc", "inbox").clear()
    headers = cloud_event("payment.success", "paymentfc") | {
        "ce_id": str(event_id),
        "x-reason": "handler_failed",
        "x-error": "boom",
        "x-handler": "orderfc.payment.success",
        "x-source-topic": "payment.success",
        "x-source-partition": "0",
        "x-source-offset": "5",
    }
    await world.store([made])
    await world.send([("payment.success.dlq", b"{}", f"order-{made.order_id}".encode(), headers)])
    report = await world.audit()
    found = [each for each in report.findings if each.order_id == made.order_id]
    assert [(each.rule, each.found, each.expected) for each in found] == [
        ("dead_letter", "handler_failed: boom", "applied by orderfc")
    ]
    assert found[0].subject.startswith("payment.success.dlq[")
    await world.sql("orderfc", "INSERT INTO inbox VALUES ($1, $2, $3)", *received.values())
    report = await world.audit()
    assert [each for each in report.findings if each.order_id == made.order_id] == []


@pytest.fixture
async def strange(
    databases: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[World, str]]:
    """A broker of its own, because what strangers send stays on it."""
    servers = Servers(tmp_path_factory.mktemp("strange"))
    broker = servers.kafka()
    async with opened_world(databases, broker) as world:
        yield world, broker
    servers.stop()


async def test_records_that_can_not_be_unpacked_are_named_and_an_invalid_time_stops_no_audit(
    strange: tuple[World, str],
) -> None:
    world, broker = strange
    bad = [record(number, b"k", b"{}", [(b"\xff", b"x")]) for number in range(2)]
    for topic in ("order.created", "order.created.dlq"):
        await produce(broker, topic, batch(b"".join(bad), 2))
    await produce(broker, "stock.rollback", batch(record(0, b"k", b"{}"), 1, time_ms=-(2**60)))
    report = await world.audit()
    found = [each for each in report.findings if each.rule == "event_unreadable"]
    assert sorted(each.subject for each in found) == ["order.created.dlq[0]@0-1", "order.created[0]@0-1"]
    assert RULES["event_unreadable"].level is Level.ATTENTION
    assert report.counts["event_foreign"] == 1


async def test_messages_that_no_group_consumes_are_reported_once_they_are_old(world: World) -> None:
    await world.store([new_sample("open", not_passed=True)])
    patient = await world.audit(limits=Limits(stuck_s=3600))
    hasty = await world.audit(limits=Limits(stuck_s=0))
    assert patient.counts["consumer_stuck"] == 0
    assert {each.subject.split("[")[0] for each in hasty.findings if each.rule == "consumer_stuck"} >= {
        "group paymentfc on order.created",
        "group productfc on stock.updated",
    }


async def test_an_outbox_that_is_not_emptied_is_reported_with_its_last_error(bare: World) -> None:
    made = new_sample("paid", age_s=600)
    made.event("payment.success")["published_at"] = None
    await bare.store([made])
    await bare.sql("paymentfc", "UPDATE outbox SET last_error = 'no broker'")
    report = await bare.audit()
    [found] = [each for each in report.findings if each.rule == "outbox_stuck"]
    assert (found.subject, found.found) == ("outbox of paymentfc", "1 events wait, last error: no broker")
    assert found.since == made.event("payment.success")["created_at"]


async def test_an_event_that_is_keyed_by_another_order_is_found(bare: World) -> None:
    await bare.store([new_sample("open")])
    await bare.sql("orderfc", "UPDATE outbox SET key = 'user-7' WHERE topic = 'order.created'")
    report = await bare.audit()
    [found] = [each for each in report.findings if each.rule == "event_key"]
    assert found.found == "user-7"


async def test_stock_below_zero_is_found(bare: World) -> None:
    await bare.sql("productfc", "ALTER TABLE products DROP CONSTRAINT ck_products_stock")
    await bare.sql("productfc", "UPDATE products SET stock = -1 WHERE id = 2")
    report = await bare.audit()
    await bare.sql("productfc", "UPDATE products SET stock = 0 WHERE id = 2")
    await bare.sql("productfc", "ALTER TABLE products ADD CONSTRAINT ck_products_stock CHECK (stock >= 0)")
    assert [(each.rule, each.subject, each.found) for each in report.findings] == [
        ("product_stock", "product 2", "-1"),
        ("stock_conserved", "product 2", "-1"),
    ]


async def test_a_unit_of_stock_that_nobody_put_there_is_found(bare: World) -> None:
    await bare.store([new_sample("paid"), new_sample("expired")])
    assert (await bare.audit()).findings == []
    await bare.sql("productfc", "UPDATE products SET stock = stock + 1 WHERE id = 1")
    [found] = (await bare.audit()).findings
    assert (found.rule, found.subject, found.found) == ("stock_conserved", "product 1", "100")
    assert found.expected.endswith("held by orders")


async def test_events_that_were_purged_after_a_week_are_not_missed(bare: World) -> None:
    made = [new_sample(name, age_s=8 * 86_400) for name in ("paid", "expired", "rejected", "expired, then paid")]
    for each in made:
        each.rows = {key: rows for key, rows in each.rows.items() if key[1] not in ("outbox", "inbox")}
        for row in each.of("paymentfc", "payments"):
            row["expires_at"] = None
    await bare.store(made)
    assert (await bare.audit()).findings == []


async def test_events_that_can_not_have_been_purged_yet_are_missed(bare: World) -> None:
    made = new_sample("paid", age_s=timedelta(days=6, hours=23).total_seconds())
    made.rows = {key: rows for key, rows in made.rows.items() if key[1] not in ("outbox", "inbox")}
    await bare.store([made])
    report = await bare.audit()
    assert {"event_checkout", "event_success"} <= set(report.counts)


async def test_events_that_their_topic_does_not_hold_any_more_are_not_missed_and_later_ones_are(
    databases: dict[str, dict[str, Any]], own_broker: str
) -> None:
    old, lost = new_sample("open"), new_sample("open", age_s=0)
    never_sent(lost)
    async with opened_world(databases, own_broker) as world:
        await world.store([old])
        await forget(own_broker, "order.created")
        lost.event("order.created")["published_at"] = datetime.now(UTC) + timedelta(seconds=30)
        await world.store([lost])
        report = await world.audit(ignore=["event_ghost"])
    assert [each.rule for each in report.findings if each.order_id == old.order_id] == []
    assert [each.rule for each in report.findings if each.order_id == lost.order_id] == ["event_on_topic"]


async def forget(broker: str, topic: str) -> None:
    """Remove all that a topic holds, as its retention does in time."""
    consumer, admin = AIOKafkaConsumer(bootstrap_servers=broker), AIOKafkaAdminClient(bootstrap_servers=broker)
    await consumer.start()
    await admin.start()
    try:
        [described] = await admin.describe_topics([topic])
        partitions = [TopicPartition(topic, item["partition"]) for item in described["partitions"]]
        ends = await consumer.end_offsets(partitions)
        await admin.delete_records({each: RecordsToDelete(before_offset=end) for each, end in ends.items() if end})
    finally:
        await admin.close()
        await consumer.stop()


def test_every_rule_has_a_planted_fault() -> None:
    here = {
        "event_ghost",
        "stock_conserved",
        "event_foreign",
        "event_unreadable",
        "dead_letter",
        "consumer_stuck",
        "outbox_stuck",
        "event_key",
        "product_stock",
        "product_cached",
    }
    assert here | {code for plant in PLANTS.values() for code in plant.codes} == set(RULES)
