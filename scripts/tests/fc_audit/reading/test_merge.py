"""The merge join: every record once and orders ascending, however the batches are cut; and what is kept aside."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from chassis.ids import uuid7
from fc.audit.model import Line
from fc.audit.reading.merge import Stream, batched, dossiers
from fc.audit.reading.spill import BATCH, Sighting, Spill

Ids = list[int]


async def cut(ids: Sequence[int], size: int) -> AsyncIterator[Sequence[tuple[int, int, int, int]]]:
    for start in range(0, len(ids), size):
        yield [(order_id, at, 1, 1) for at, order_id in enumerate(ids[start : start + size], start)]


@given(
    st.lists(st.integers(1, 9)).map(sorted),
    st.lists(st.integers(1, 9)).map(sorted),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_all_records_of_an_order_meet_in_one_dossier(left: Ids, right: Ids, size: int, batch: int) -> None:
    async def merged() -> list[tuple[int, int, int]]:
        streams = [Stream("lines", cut(left, size), Line), Stream("ledger", cut(right, size), Line)]
        found = []
        async for dossiers_ in batched(streams, batch):
            assert len(dossiers_) <= batch
            for each in dossiers_:
                assert {row.order_id for row in each.lines} | {row.order_id for row in each.ledger} == {each.order_id}
                found.append((each.order_id, len(each.lines), len(each.ledger)))
        return found

    expected = [(each, left.count(each), right.count(each)) for each in sorted({*left, *right})]
    assert asyncio.run(merged()) == expected


async def test_no_more_than_one_batch_is_read_ahead() -> None:
    read = []

    async def endless() -> AsyncIterator[Sequence[tuple[int, int, int, int]]]:
        for number in range(1, 1_000_000):
            read.append(number)
            yield [(number, 1, 1, 1)]

    async for dossier in dossiers([Stream("lines", endless(), Line)]):
        assert len(read) <= dossier.order_id + 1
        if dossier.order_id == 50:
            break


def test_an_event_is_known_by_where_it_stood_first() -> None:
    spill = Spill()
    event_id, now = uuid7(), datetime.now(UTC)
    spill.add_messages([Sighting(event_id, "1", "payment.success", 2, offset, now, 7, own=True) for offset in (4, 9)])
    assert spill.places([event_id, uuid4()])[event_id].offset == 4
    assert len(spill.places([event_id, uuid4()])) == 1
    spill.close()


def test_more_events_than_one_statement_takes_are_found() -> None:
    spill = Spill()
    ids, now = [uuid7() for _ in range(2 * BATCH + 1)], datetime.now(UTC)
    spill.add_messages(
        [Sighting(event_id, "1", "payment.success", 0, at, now, None, own=True) for at, event_id in enumerate(ids)]
    )
    assert set(spill.places(ids)) == set(ids)
    assert sum(map(len, spill.messages("payment.success", own=True))) == len(ids)
    assert spill.reused(ids) == set()
    assert spill.reused([ids[-1], uuid7()]) == {ids[-1]}
    spill.close()
