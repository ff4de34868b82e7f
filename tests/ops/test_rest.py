"""What the services ask of their databases while nobody asks for anything: a new poll is noticed here."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fc.stack.layout import SERVICES
from fc.stack.local import Stack
from tests.kit.stacks import SECRETS, running

pytestmark = pytest.mark.e2e

COUNTED_S = 20
# Statements a minute that a service may send at rest: those of its loops (chassis: the relay's look 15;
# userfc: the copy of revoked tokens 60; paymentfc: what is due 30), and a quarter more, for jitter and for one that was
# due as the count began.
MOST = {"userfc": 75, "productfc": 21, "orderfc": 21, "paymentfc": 60}
# The intervals of an installation, which those of other tests' stacks are not.
INTERVALS = {
    "SCHEDULER_RETRY_INTERVAL_S": "5",
    "SCHEDULER_EXPIRY_INTERVAL_S": "10",
    "KAFKA_SESSION_TIMEOUT_MS": "10000",
}
LOG_ALL = ("ALTER SYSTEM SET log_statement = 'all'", "ALTER SYSTEM SET log_line_prefix = 'by %a: '")
LINE = re.compile(r"by (\w+): LOG:  (?:statement|execute \S+): *(.*)")


@pytest.fixture(scope="module")
def resting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start a stack with the intervals of an installation."""
    with running(Stack.for_tests(Path(tmp_path_factory.mktemp("rest")), {**SECRETS, **INTERVALS})) as started:
        yield started


async def _log_statements(stack: Stack) -> None:
    connection = await stack.programs.postgres.connect()
    for statement in (*LOG_ALL, "SELECT pg_reload_conf()"):
        await connection.execute(statement)
    await connection.close()


def _statements(log: str) -> Counter[tuple[str, str]]:
    """Count the logged statements by service and beginning."""
    found = (LINE.match(line) for line in log.splitlines())
    return Counter((match[1], match[2][:70]) for match in found if match and match[1] in SERVICES)


def test_statements_are_counted_by_service() -> None:
    lines = (
        "by userfc: LOG:  statement: BEGIN;",
        "by userfc: LOG:  execute x_1__: SELECT 1",
        "\tFROM orders",
        "by psql: -",
    )
    assert _statements("\n".join(lines)) == {("userfc", "BEGIN;"): 1, ("userfc", "SELECT 1"): 1}


async def test_services_at_rest_ask_their_databases_no_more_often_than_is_known(resting: Stack) -> None:
    await _log_statements(resting)
    path = resting.layout.log("postgres")
    start, began = path.stat().st_size, time.monotonic()
    # The time that is counted, not a wait for something.
    await asyncio.sleep(COUNTED_S)
    minutes = (time.monotonic() - began) / 60
    with path.open("rb") as log:
        log.seek(start)
        counted = _statements(log.read().decode())
    rates = {name: sum(n for (service, _), n in counted.items() if service == name) / minutes for name in SERVICES}
    shown = {f"{service}: {text}": round(n / minutes) for (service, text), n in counted.most_common()}
    assert {name: rate for name, rate in rates.items() if rate > MOST[name]} == {}, shown
    assert all(rates.values()), "the log shows the statements of each service"
