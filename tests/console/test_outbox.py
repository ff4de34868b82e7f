"""The outbox in the console on the running stack: a parked event is found and sent, with who and why on record."""

import pytest

from fc.demo.shop import poll
from fc.ops import connections
from fc.platform.sources import Sources
from tests.console.kit.operator import Operator
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus
from tests.ops.conftest import Run, lines
from tests.ops.test_unsent import parked

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


async def test_a_parked_event_is_found_and_sent_with_a_reason(
    operator: Operator, sources: Sources, back_office: BackOffice, bus: Bus, fc: Run
) -> None:
    order = back_office.foreign_order_id()
    async with (
        connections.database("orderfc", sources.databases["orderfc"]) as database,
        parked(database, order) as row_id,
    ):
        await operator.open("/outbox")
        await operator.until("KafkaTimeoutError")
        listed = lines(await fc("outbox", "ls", "--from", "services", "--json"))
        assert [row["state"] for row in listed if row["id"] == row_id and row["service"] == "orderfc"] == ["parked"]
        page = operator.page
        await page.get_by_role("link", name=f"Retry event {row_id} of orderfc", exact=True).click()
        await operator.until("1 event would be due now")
        await page.get_by_label("Reason, for the service's record").fill("the topic is there again")
        await page.get_by_role("button", name="Retry 1 event").click()
        await operator.until("1 event is due now.")

        async def published() -> bool:
            return bool(await database.fetchval("SELECT published_at IS NOT NULL FROM outbox WHERE id = $1", row_id))

        await poll(published, "the parked event is published")
        assert [event.topic for event in await bus.events_of(order)] == ["stock.rollback"]


async def test_the_command_asks_the_service_to_retry_one_event(
    sources: Sources, back_office: BackOffice, fc: Run
) -> None:
    async with (
        connections.database("orderfc", sources.databases["orderfc"]) as database,
        parked(database, back_office.foreign_order_id()) as row_id,
    ):
        words = ("outbox", "retry", "--from", "services", "--service", "orderfc", "--id", str(row_id))
        assert "needs --reason" in str((await fc(*words)).exception)
        assert (await fc(*words, "--reason", "a probe")).exit_code == 0
        assert await database.fetchval("SELECT next_attempt_at > now() FROM outbox WHERE id = $1", row_id)
        assert (await fc(*words, "--reason", "a probe", "--yes")).exit_code == 0
        assert not await database.fetchval(
            "SELECT published_at IS NULL AND next_attempt_at > now() FROM outbox WHERE id = $1", row_id
        )
