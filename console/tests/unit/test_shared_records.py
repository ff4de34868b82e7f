"""The records of an order are read once for all who ask at the same moment."""

import asyncio
from datetime import UTC, datetime

from console.client.admin_api import NoAnswer
from console.client.shared_records import SharedRecords
from console.model.facts import Record

SINCE = datetime(2026, 11, 25, tzinfo=UTC)


class Records:
    """Reads when it is let, and counts how often."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.let = asyncio.Event()
        self.away = False

    async def of_order(self, order_id: int, _since: datetime) -> tuple[list[Record], bool]:
        self.read.append(order_id)
        await self.let.wait()
        if self.away:
            raise NoAnswer("away")
        return [], True


async def test_all_who_ask_at_the_same_moment_share_a_reading_and_the_next_one_reads_again() -> None:
    records = Records()
    shared = SharedRecords(records)
    asked = [asyncio.create_task(shared.of_order(order, SINCE)) for order in (1, 1, 2, 1)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asked[0].cancel()
    records.let.set()
    assert await asyncio.gather(*asked[1:]) == [([], True)] * 3
    assert records.read == [1, 2]
    await shared.of_order(1, SINCE)
    assert records.read == [1, 2, 1]


async def test_a_failure_is_that_of_all_who_asked_and_is_not_kept() -> None:
    records = Records()
    records.away = True
    records.let.set()
    shared = SharedRecords(records)
    found = await asyncio.gather(*(shared.of_order(1, SINCE) for _ in range(2)), return_exceptions=True)
    assert [type(each) for each in found] == [NoAnswer, NoAnswer]
    records.away = False
    assert await shared.of_order(1, SINCE) == ([], True)
