"""One platform in containers for all tests here, removed at the end. Where it can't be, one line says why."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fc.demo.shop import Customer, Shop
from fc.stack import compose, ports
from fc.stack.layout import PORTS, ROOT
from tests.compose.kit.platform import Platform
from tests.compose.kit.record import Record

TEST_S = 600
RECORD = Record()
# What the containers have said, when a test has failed: they are removed.
LOGS = ROOT / ".local" / "test-compose.log"


def pytest_sessionstart() -> None:
    if not compose.engine():
        pytest.exit("make test-compose needs a Docker engine, and none answers (or FC_NATIVE=1 rules it out)", 1)
    if (ROOT / ".env").exists():
        pytest.exit("make test-compose has settings of its own: move .env away first", 1)
    if taken := [str(port) for name, port in PORTS.items() if name != "kafka_controller" and ports.is_taken(port)]:
        pytest.exit(f"make test-compose needs the platform's own ports, and {', '.join(taken)} are taken", 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the time of a start, which may be a part of it, on a busy machine."""
    for item in items:
        item.add_marker(pytest.mark.timeout(TEST_S))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what became of each test."""
    if report.failed or (report.passed and report.when == "call"):
        (RECORD.failed if report.failed else RECORD.passed).append(report.nodeid.split("::")[-1])


def pytest_sessionfinish() -> None:
    """Write the figures into the page that COMPOSE_RECORD names."""
    if path := os.environ.get("COMPOSE_RECORD"):
        RECORD.write(Path(path))


@pytest.fixture(scope="session")
def record() -> Record:
    """The figures of this run."""
    return RECORD


@pytest.fixture(scope="session")
def engine(record: Record) -> Iterator[Platform]:
    """The platform before it is started; nothing is left of it in the end."""
    platform = Platform()
    platform.wipe()
    record.versions["Docker Engine"] = str(compose.engine())
    record.versions["compose"] = platform.compose("version", "--short").stdout.strip()
    try:
        yield platform
    finally:
        if RECORD.failed:
            LOGS.parent.mkdir(exist_ok=True)
            LOGS.write_text(platform.compose("logs", "--no-color", "--timestamps", ok=False).stdout, encoding="utf-8")
        platform.wipe()


@pytest.fixture
def platform(engine: Platform, record: Record) -> Platform:
    """The platform, up, in development."""
    first = not engine.started
    seconds = engine.running_with({})
    if first:
        record.starts.update(engine.started)
        record.step("`fc up` on empty volumes, with the build of changed images", f"{seconds:.0f} s")
    return engine


@pytest.fixture
async def shop(platform: Platform) -> AsyncIterator[Shop]:
    """The seeded shop."""
    platform.fc("seed")
    async with Shop.opened(platform.urls, platform.accounts()) as opened:
        yield opened


@pytest.fixture
async def buyer(shop: Shop) -> Customer:
    """A new customer, who is logged in."""
    return await shop.newcomer()
