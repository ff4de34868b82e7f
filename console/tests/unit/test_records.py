"""Records of a topic: links to places, pages over partitions, text of any bytes."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from console.model.records import Event, Reading, first_of, positions_of, text_of

AT = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
PLACES = st.tuples(st.sampled_from(["a", "b.dlq"]), st.integers(0, 9))


@given(st.dictionaries(PLACES, st.integers(0, 10**17), min_size=1))
def test_a_link_brings_back_the_positions(positions: dict[tuple[str, int], int]) -> None:
    assert positions_of(Reading([], positions, more=True).link) == positions


@given(
    st.lists(st.tuples(PLACES, st.integers(0, 30), st.integers(0, 5)), unique_by=lambda item: item[:2]),
    st.integers(1, 9),
)
def test_what_a_page_leaves_out_begins_where_the_next_one_reads_on(
    items: list[tuple[tuple[str, int], int, int]], count: int
) -> None:
    events = [
        Event(topic, partition, offset, AT + timedelta(seconds=s), None, (), None)
        for (topic, partition), offset, s in items
    ]
    shown, left_out = first_of(events, count)
    assert len(shown) == min(count, len(events))
    for each in events:
        assert each in shown or each.offset >= left_out[each.topic, each.partition]


@given(st.binary(max_size=40), st.integers(0, 30))
def test_any_bytes_are_text(content: bytes, limit: int) -> None:
    text_of(content, limit).encode()
