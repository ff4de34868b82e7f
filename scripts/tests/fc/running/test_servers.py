"""Who may open which database, and which topics there are."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from console.model.audits import TOPIC as AUDITS
from console.model.journal import TOPIC as JOURNAL
from fc.stack.layout import SERVICES
from fc.stack.local import Stack
from servers.postgres import app_role
from testkit import eventually

from ..conftest import Ended
from .conftest import BACK_S, within

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

Fc = Callable[[str], Ended]

TOPICS = (
    "order.cancelled",
    "order.created",
    "payment.failed",
    "payment.success",
    "stock.rejected",
    "stock.rollback",
    "stock.updated",
)


SCHEMA_CHANGES = (
    "CREATE TABLE made (id int)",
    "CREATE TEMPORARY TABLE made (id int)",
    "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA made",
    "CREATE ROLE made",
    "ALTER TABLE alembic_version ADD made int",
    "ALTER TABLE alembic_version DISABLE TRIGGER ALL",
    "CREATE INDEX made ON alembic_version (id)",
    "DROP TABLE alembic_version",
    "TRUNCATE alembic_version",
    "UPDATE alembic_version SET version_num = 'made'",
)


@asynccontextmanager
async def connected(stack: Stack, role: str, database: str, password: str = "admin") -> AsyncIterator[Any]:
    connection = await asyncpg.connect(
        host="127.0.0.1", port=stack.layout.port("postgres"), user=role, database=database, password=password, timeout=5
    )
    try:
        yield connection
    finally:
        await connection.close()


def test_each_database_is_open_to_its_own_role_only(stack: Stack) -> None:
    async def tried() -> None:
        for service in SERVICES:
            for role in (service, app_role(service)):
                async with connected(stack, role, service) as connection:
                    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") > 1
                    assert await connection.fetchval("SELECT NOT rolsuper FROM pg_roles WHERE rolname = current_user")
        for service, database in itertools.permutations(SERVICES, 2):
            role = app_role(service)
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="CONNECT privilege"):
                async with connected(stack, role, database):
                    """Refused before this."""

    asyncio.run(tried())


def test_a_service_has_no_right_to_change_the_schema(stack: Stack) -> None:
    async def tried() -> None:
        for service in SERVICES:
            async with connected(stack, app_role(service), service) as connection:
                for statement in SCHEMA_CHANGES:
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await connection.execute(statement)
                assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1

    asyncio.run(tried())


def test_a_wrong_password_is_refused(stack: Stack) -> None:
    async def tried() -> None:
        with pytest.raises(asyncpg.InvalidPasswordError):
            async with connected(stack, "orderfc", "orderfc", "wrong"):
                """Refused before this."""

    asyncio.run(tried())


@asynccontextmanager
async def administered(stack: Stack) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=f"localhost:{stack.layout.port('kafka')}")
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


def partitions(stack: Stack) -> dict[str, int]:
    async def described() -> dict[str, int]:
        async with administered(stack) as admin:
            names = [name for name in await admin.list_topics() if not name.startswith("__")]
            return {item["topic"]: len(item["partitions"]) for item in await admin.describe_topics(names)}

    return asyncio.run(described())


def test_every_topic_and_its_dead_letter_topic_have_the_configured_partitions(stack: Stack) -> None:
    events = {name: 3 for topic in TOPICS for name in (topic, f"{topic}.dlq")}
    assert partitions(stack) == {**events, AUDITS: 1, JOURNAL: 1}


DLQ = "stock.rejected.dlq"
OURS = {"retention.ms": "1000", "max.message.bytes": "100", "segment.ms": "86400000", "min.insync.replicas": "1"}


def made_again(stack: Stack, partitions_of_it: int, configs: dict[str, str]) -> None:
    """Replace a topic by one that somebody else has made."""

    async def work() -> None:
        async with administered(stack) as admin:
            await admin.delete_topics([DLQ])
            await eventually(lambda: _absent(admin), 30)
            answer = await admin.create_topics([NewTopic(DLQ, partitions_of_it, 1, topic_configs=configs)])
            assert [code for _, code, *_ in answer.topic_errors] == [0]

    asyncio.run(work())


async def _absent(admin: AIOKafkaAdminClient) -> bool:
    return DLQ not in await admin.list_topics()


def configs_of(stack: Stack) -> dict[str, str]:
    async def described() -> dict[str, str]:
        async with administered(stack) as admin:
            [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, DLQ)])
            return {name: value for name, value, *_ in answer.resources[0][4]}

    return asyncio.run(described())


@pytest.fixture
def planned(stack: Stack, fc: Fc) -> Iterator[None]:
    """Have the topic made as planned, before and after."""
    assert (fc("topics --check").code, fc("topics").out) == (0, "All topics exist already.\n")
    yield

    async def delete() -> None:
        async with administered(stack) as admin:
            await admin.delete_topics([DLQ])
            await eventually(lambda: _absent(admin), 30)

    asyncio.run(delete())
    assert fc("topics").out == f"Created: {DLQ}\n"
    assert fc("topics --check").code == 0


@pytest.mark.usefixtures("planned")
def test_topics_makes_what_is_missing_and_check_only_says_so(
    stack: Stack, fc: Fc, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def delete() -> None:
        async with administered(stack) as admin:
            await admin.delete_topics([DLQ])

    asyncio.run(delete())
    within(BACK_S, lambda: DLQ not in partitions(stack), "the topic is gone")
    said = fc("topics --check")
    assert (said.code, said.out.splitlines()[1:]) == (1, [f"{DLQ}\ttopic\tmissing\tmade\tfc topics makes it"])
    assert DLQ not in partitions(stack)
    with monkeypatch.context() as other:
        other.setenv("KAFKA_PARTITIONS", "5")
        said = fc("topics")
    created, _, *others = said.out.splitlines()
    assert (said.code, created) == (0, f"Created: {DLQ}")
    # What is there is left as it is, and said to differ.
    assert {name: count for name, count in partitions(stack).items() if count != 3} == {DLQ: 5, AUDITS: 1, JOURNAL: 1}
    assert "stock.rejected\tpartitions\t3\t5\t--apply changes it" in others
    assert len(others) == 2 * len(TOPICS) - 1


@pytest.mark.usefixtures("planned")
def test_topics_reports_what_differs_and_changes_what_can_lose_no_event(stack: Stack, fc: Fc) -> None:
    made_again(stack, 1, OURS)
    said = fc("topics --check")
    assert said.code == 1
    assert said.out.splitlines()[1:] == [
        f"{DLQ}\tpartitions\t1\t3\t--apply changes it",
        f"{DLQ}\tretention.ms\t1000\t-1\t--apply changes it",
        f"{DLQ}\tmax.message.bytes\t100\t2097152\t--apply changes it",
    ]
    assert partitions(stack)[DLQ] == 1
    assert fc("topics --apply --yes").code == 0
    assert (fc("topics --check").code, partitions(stack)[DLQ]) == (0, 3)
    # Nobody has a plan for this one: it stays as somebody has set it.
    assert configs_of(stack)["segment.ms"] == "86400000"


@pytest.mark.usefixtures("planned")
def test_topics_leaves_to_a_person_what_could_lose_or_refuse_an_event(stack: Stack, fc: Fc) -> None:
    made_again(stack, 5, {"retention.ms": "-1", "max.message.bytes": "9999999", "cleanup.policy": "compact"})
    said = fc("topics --apply --yes")
    assert (said.code, "Changed" in said.out) == (0, False)
    assert [line.split("\t")[1] for line in said.out.splitlines()[2:]] == [
        "partitions",
        "cleanup.policy",
        "max.message.bytes",
    ]
    assert said.out.count("by hand: ") == 3
    assert fc("topics --check").code == 1
