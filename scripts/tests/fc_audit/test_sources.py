"""What an audit may do to its sources, and what it says when one does not answer."""

from dataclasses import replace

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from fc.audit.reading.xendit import XenditApi, XenditSimulator, gateway_at
from fc.audit.run import run_audit
from fc.platform.errors import CouldNotCheck
from fc.platform.snapshot import connected
from fc.platform.sources import Sources, XenditAddress
from fc.stack.layout import Layout
from testkit import free_port

from .conftest import new_sample
from .spoil import order
from .world import World


async def test_a_session_of_the_audit_can_not_write(bare: World) -> None:
    async with connected("orderfc", bare.sources.databases["orderfc"]) as connection:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("DELETE FROM orders")


async def test_an_audit_commits_no_offset_and_leaves_no_group(world: World) -> None:
    async def groups() -> set[str]:
        admin = AIOKafkaAdminClient(bootstrap_servers=world.sources.kafka)
        await admin.start()
        try:
            return {name for name, *_ in await admin.list_consumer_groups()}
        finally:
            await admin.close()

    before = await groups()
    assert (await world.audit()).unread == {}
    assert await groups() == before


async def test_a_database_that_does_not_answer_is_named(bare: World) -> None:
    port = free_port()
    databases = bare.sources.databases
    gone = {**databases, "productfc": replace(databases["productfc"], port=port)}
    with pytest.raises(CouldNotCheck, match=f"the database of productfc at 127.0.0.1:{port}"):
        await run_audit(Sources(gone))


@pytest.mark.parametrize("name", ["kafka", "mongo"])
async def test_without_kafka_or_mongodb_the_other_rules_are_checked_and_the_exit_code_says_so(
    bare: World, name: str
) -> None:
    address = f"127.0.0.1:{free_port()}"
    kafka, mongo = (address, None) if name == "kafka" else (None, f"mongodb://{address}")
    sources = replace(bare.sources, kafka=kafka, mongo=mongo)
    await bare.store([new_sample("paid")])
    report = await bare.audit(sources)
    assert list(report.unread) == [name]
    assert address.split(":")[1] in report.unread[name]
    assert (report.orders, report.exit_code) == (1, 2)


async def test_when_xendit_stops_answering_its_rules_are_left_out(bare: World) -> None:
    await bare.store([new_sample("paid", invoices=[])])
    assert (await bare.audit()).counts == {"payment_witness": 1}
    bare.xendit.error = CouldNotCheck("Xendit: no answer")
    report = await bare.audit()
    assert (report.counts, report.unread, report.exit_code) == ({}, {"xendit": "Xendit: no answer"}, 2)


async def test_a_violation_counts_more_than_a_source_that_was_not_read(bare: World) -> None:
    made = new_sample("paid")
    await bare.store([made])
    await order("total_qty = 4")(bare, made)
    bare.xendit.error = CouldNotCheck("Xendit: no answer")
    assert (await bare.audit()).exit_code == 1


async def test_what_is_not_to_be_read_is_no_failure(bare: World) -> None:
    await bare.store([new_sample(name) for name in ("paid", "expired", "open")])
    report = await bare.audit(replace(bare.sources, xendit=None))
    assert (report.orders, report.skipped, report.exit_code) == (3, ["kafka", "mongo", "redis", "xendit"], 0)


async def test_a_rule_can_be_ignored(bare: World) -> None:
    made = new_sample("paid")
    await bare.store([made])
    await order("total_qty = 4")(bare, made)
    assert (await bare.audit(ignore=["order_quantity"])).counts == {}


def test_a_local_stack_is_found_by_its_layout(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_HOME", str(tmp_path))
    monkeypatch.setenv("FC_PORT_OFFSET", "700")
    monkeypatch.delenv("XENDIT_BASE_URL", raising=False)
    sources = Sources.of_stack(Layout.from_environment())
    assert {(name, each.user, each.port) for name, each in sources.databases.items()} == {
        (name, f"{name}_app", 6133) for name in ("userfc", "productfc", "orderfc", "paymentfc")
    }
    assert sources.kafka == "localhost:29792"
    assert sources.redis == "redis://:admin@localhost:7079"
    assert sources.xendit == XenditAddress("http://localhost:28790")
    assert isinstance(gateway_at(sources.xendit), XenditSimulator)
    monkeypatch.setenv("XENDIT_BASE_URL", "https://api.xendit.co")
    xendit = Sources.of_stack(Layout.from_environment()).xendit
    assert xendit
    assert xendit.base_url == "https://api.xendit.co"
    assert isinstance(gateway_at(xendit), XenditApi)
