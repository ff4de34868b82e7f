"""Whatever is killed comes back by itself, with its data; a killed supervisor comes back with `up`."""

import asyncio
import os
import signal
from collections import Counter

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from redis import Redis

from fc.stack import ports, processes
from fc.stack.layout import DEPLOYED
from fc.stack.local import Stack
from servers.redis import PASSWORD

from .conftest import BACK_S, Buyer, alive, all_ready, family, pids, ready, within

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def kill(stack: Stack, name: str) -> int:
    """End a part without warning, and wait until the supervisor runs another process for it."""
    pid = pids(stack)[name]
    os.kill(pid, signal.SIGKILL)

    def replaced() -> bool:
        state = stack.supervisor.state(name)
        return state.detail == "RUNNING" and state.pid not in (0, pid)

    within(BACK_S, replaced, f"{name} is back")
    return pid


@pytest.mark.parametrize("service", DEPLOYED)
def test_a_killed_service_is_ready_again_by_itself(stack: Stack, service: str) -> None:
    before = pids(stack)
    killed = kill(stack, service)
    within(BACK_S, lambda: ready(stack, service), f"{service} is ready again")
    after = pids(stack)
    assert after.pop(service) != killed
    assert before.pop(service) == killed
    assert after == before


def test_a_killed_redis_is_back_with_what_it_held_and_orders_go_on(stack: Stack, buyer: Buyer) -> None:
    with Redis(port=stack.layout.port("redis"), password=PASSWORD) as client:
        client.set("kept", "as it was")
    kill(stack, "redis")
    within(BACK_S, lambda: asyncio.run(stack.programs.servers[1].ready()), "redis answers")
    with Redis(port=stack.layout.port("redis"), password=PASSWORD) as client:
        assert client.get("kept") == b"as it was"
    within(BACK_S, lambda: all_ready(stack), "all services are ready")
    buyer.pay(buyer.order())


def test_a_killed_postgres_is_back_with_every_committed_order_and_orders_go_on(stack: Stack, buyer: Buyer) -> None:
    order = buyer.order()
    before = buyer.seen(order)
    kill(stack, "postgres")
    within(BACK_S, lambda: asyncio.run(stack.programs.postgres.ready()), "postgres answers")
    within(BACK_S, lambda: all_ready(stack), "all services are ready")
    assert buyer.seen(order) == before
    buyer.pay(order)


def test_a_killed_kafka_is_back_with_every_acknowledged_event_and_orders_go_on(stack: Stack, buyer: Buyer) -> None:
    broker = f"localhost:{stack.layout.port('kafka')}"
    place = TopicPartition("stock.rejected.dlq", 0)

    async def send() -> int:
        async with AIOKafkaProducer(bootstrap_servers=broker, acks="all") as producer:
            return int((await producer.send_and_wait(place.topic, b"kept", partition=place.partition)).offset)

    async def read(offset: int) -> bytes | None:
        async with AIOKafkaConsumer(bootstrap_servers=broker) as consumer:
            consumer.assign([place])
            consumer.seek(place, offset)
            async with asyncio.timeout(4 * BACK_S):
                value: bytes | None = (await consumer.getone()).value
                return value

    order = buyer.order()
    offset = asyncio.run(send())
    kill(stack, "kafka")
    within(BACK_S, lambda: asyncio.run(stack.programs.brokers[0].ready()), "kafka answers")
    assert asyncio.run(read(offset)) == b"kept"
    within(BACK_S, lambda: all_ready(stack), "all services are ready")
    buyer.pay(order)


def test_a_killed_simulator_and_a_killed_audit_store_are_back_by_themselves(stack: Stack, buyer: Buyer) -> None:
    order = buyer.order()
    for name in ("xendit", "mongo"):
        kill(stack, name)
    within(BACK_S, lambda: asyncio.run(stack.programs.servers[3].ready()), "mongo answers")
    buyer.pay(order)


def test_up_recovers_from_a_killed_supervisor_and_leaves_no_second_set_of_processes(stack: Stack, buyer: Buyer) -> None:
    order = buyer.order()
    old = family(stack)
    supervisord = psutil.Process(pids(stack)["supervisord"])
    supervisord.kill()
    supervisord.wait(10)
    assert {row.state for row in stack.status()} == {"unsupervised"}
    assert stack.up() is True
    assert alive(old) == []
    assert all_ready(stack)
    now = pids(stack)
    # Of each part there is one process, and it is the one that the new supervisor keeps.
    keeper = psutil.Process(now.pop("supervisord"))
    assert Counter(child.pid for child in keeper.children()) == Counter(now.values())
    for name in stack.programs.ports():
        owner = {"grpc": "userfc", "kafka_controller": "kafka"}.get(name, name)
        assert ports.holder(stack.layout.port(name)).startswith(f"process {now[owner]} ")
    strangers = {process.pid for process in processes.of_stack(stack.home)} - {item.pid for item in family(stack)}
    assert not strangers
    buyer.pay(order)
