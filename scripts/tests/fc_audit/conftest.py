"""One world for all tests that only read: sound orders of every ending, and one order for each planted fault."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from chassis.events import wire_headers
from chassis.ids import uuid7
from fc.audit.report import Finding, Report
from fc.stack.layout import SERVICES
from testkit import Servers

from .pieces import Sample
from .plants import PLANTS
from .samples import ENDINGS, sample
from .world import World, opened_world

Databases = Callable[[str], Awaitable[dict[str, Any]]]

UNCHAINED = "of a version without hashes"
OPENED_AGAIN = "with an anomaly to which money has come"
# Other tests of the session use the same broker and audit log: no order of theirs is called so.
_order_ids = count(time.time_ns() // 1_000)


def new_sample(ending: str, age_s: float = 86_400, **fields: Any) -> Sample:
    """Make a sound order of its own number, by default so old that nothing can be on its way any more."""
    made = sample(next(_order_ids), ending, datetime.now(UTC) - timedelta(seconds=age_s))
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _opened_again() -> Sample:
    """Make an order whose anomaly was recorded, and told of once more when money came."""
    made = new_sample("expired, then paid")
    [anomaly] = made.of("paymentfc", "payment_anomalies")
    anomaly["paid"] = True
    made.audit("payment.anomaly", 4)
    return made


async def _migrated(make_database: Databases) -> dict[str, dict[str, Any]]:
    return {service: await make_database(service) for service in SERVICES}


@pytest.fixture(scope="session")
async def databases(make_database: Databases) -> dict[str, dict[str, Any]]:
    """Four migrated databases that one test after the other uses, each from their beginning."""
    return await _migrated(make_database)


@pytest.fixture
async def bare(databases: dict[str, dict[str, Any]]) -> AsyncIterator[World]:
    """Empty databases, without Kafka and MongoDB."""
    async with opened_world(databases) as world:
        yield world


@pytest.fixture
async def world(databases: dict[str, dict[str, Any]], kafka_broker: str, mongo_uri: str) -> AsyncIterator[World]:
    """Empty databases, with the broker and the audit log of the session."""
    async with opened_world(databases, kafka_broker, mongo_uri) as world:
        yield world


@pytest.fixture(scope="session")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of its own: no other test leaves unread messages on it or needs those that are deleted."""
    servers = Servers(tmp_path_factory.mktemp("audit"))
    yield servers.kafka()
    servers.stop()


@dataclass
class Audited:
    """What the audit of the planted world has found, and which order is which."""

    report: Report
    world: World
    sound: dict[str, Sample]
    spoiled: dict[str, Sample]

    def of(self, order_id: int) -> list[Finding]:
        """Return the findings about an order."""
        return [finding for finding in self.report.findings if finding.order_id == order_id]

    def about(self, rule: str, subject: str) -> list[Finding]:
        """Return the findings of a rule whose subject contains this text."""
        return [each for each in self.report.findings if each.rule == rule and subject in each.subject]


@pytest.fixture(scope="module")
async def audited(make_database: Databases, kafka_broker: str, mongo_uri: str) -> AsyncIterator[Audited]:
    """Audit a world in which every fault is planted once."""
    sound = {name: new_sample(name) for name in ENDINGS}
    sound |= {UNCHAINED: new_sample("paid", unchained=True), OPENED_AGAIN: _opened_again()}
    spoiled = {name: new_sample(plant.ending) for name, plant in PLANTS.items()}
    for name, plant in PLANTS.items():
        if plant.shape:
            plant.shape(spoiled[name])
    async with opened_world(await _migrated(make_database), kafka_broker, mongo_uri) as world:
        await world.store([*sound.values(), *spoiled.values()])
        for name, plant in PLANTS.items():
            if plant.spoil:
                await plant.spoil(world, spoiled[name])
        yield Audited(await world.audit(), world, sound, spoiled)


def cloud_event(topic: str, source: str) -> dict[str, str]:
    """Make the headers of a message without a committed outbox row."""
    return wire_headers(source, uuid7(), topic, datetime.now(UTC), {})
