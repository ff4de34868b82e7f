"""How the relay divides rows: those of a partition in one batch, each alone after a refusal, and a key in order."""

from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from aiokafka.partitioner import DefaultPartitioner, murmur2
from hypothesis import given
from hypothesis import strategies as st

from chassis.db.outbox_queue import OutboxRow
from chassis.kafka.in_flight import Finished
from chassis.kafka.producer import BATCH_BYTES, Producer, _hash
from chassis.kafka.sends import Send, Sends, key_of

NOW = datetime(2026, 11, 27, tzinfo=UTC)


class KnownPartitions(Producer):
    """Knows two partitions of each topic but `unknown`."""

    def __init__(self) -> None:
        """Connects to nothing."""

    def partition_of(self, topic: str, key: str) -> int | None:
        return None if topic == "unknown" else ord(key[-1]) % 2


def row(number: int, key: str, topic: str = "a", *, size: int = 10) -> OutboxRow:
    return OutboxRow(number, UUID(int=number), topic, key, "x" * size, {}, NOW, 0)


def sends() -> Sends:
    return Sends("test", KnownPartitions())


def waves(divider: Sends, rows: list[OutboxRow]) -> list[list[Send]]:
    """Divide until nothing waits, as if each send were acknowledged."""
    found: list[list[Send]] = []
    while rows:
        chosen, rows = divider.divide(rows)
        found.append(chosen)
    return found


def numbers(found: list[list[Send]]) -> list[list[list[int]]]:
    return [[[each.id for each in send.rows] for send in wave] for wave in found]


def test_the_rows_of_a_partition_are_one_batch_in_order_several_of_a_key_among_them() -> None:
    rows = [row(1, "k2"), row(2, "k4"), row(3, "k1"), row(4, "k2"), row(5, "k2", "b")]
    [wave] = waves(sends(), rows)
    assert [(send.rows[0].topic, send.partition, [each.id for each in send.rows]) for send in wave] == [
        ("a", 0, [1, 2, 4]),
        ("a", 1, [3]),
        ("b", 0, [5]),
    ]


def test_without_known_partitions_a_key_has_one_row_at_a_time() -> None:
    rows = [row(1, "k1", "unknown"), row(2, "k2", "unknown"), row(3, "k1", "unknown"), row(4, "k1", "unknown")]
    assert numbers(waves(sends(), rows)) == [[[1], [2]], [[3]], [[4]]]


def test_each_row_of_a_refused_batch_is_alone_in_one_until_it_has_been_sent() -> None:
    divider, rows = sends(), [row(1, "k1"), row(2, "k1"), row(3, "k3"), row(4, "k2"), row(5, "k5")]
    divider.keep_apart(rows[:4])
    assert numbers(waves(divider, rows)) == [[[1], [4]], [[2]], [[3]], [[5]]]
    divider.forget(rows[:2])
    assert numbers(waves(divider, rows)) == [[[1, 2, 5], [4]], [[3]]]
    divider.forget_all()
    assert numbers(waves(divider, rows)) == [[[1, 2, 3, 5], [4]]]


def test_what_can_not_be_encoded_or_is_larger_than_a_batch_is_left_to_the_producer() -> None:
    wrong = row(2, "k3")
    wrong.headers["traceparent"] = 1  # type: ignore[assignment]  # as a row that was inserted with SQL may have
    rows = [row(1, "k1"), wrong, row(3, "k5", size=BATCH_BYTES), row(4, "k7")]
    assert numbers(waves(sends(), rows)) == [[[2], [3], [1, 4]]]


def test_what_a_batch_has_no_room_for_waits_for_its_acknowledgement() -> None:
    rows = [row(number, "k1", size=BATCH_BYTES // 3) for number in range(1, 6)]
    assert numbers(waves(sends(), rows)) == [[[1, 2]], [[3, 4]], [[5]]]


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["k1", "k2", "k3"]),
        st.sampled_from(["a", "b", "unknown"]),
        st.sampled_from([10, BATCH_BYTES // 5, BATCH_BYTES]),
        st.booleans(),
    ),
    max_size=40,
)


@given(ROWS)
def test_however_rows_are_divided_each_is_sent_once_and_after_the_earlier_ones_of_its_key(
    drawn: list[tuple[str, str, int, bool]],
) -> None:
    divider = sends()
    rows = [row(at, key, topic, size=size) for at, (key, topic, size, _) in enumerate(drawn)]
    divider.keep_apart(each for each, (*_, apart) in zip(rows, drawn, strict=True) if apart)
    sent: list[OutboxRow] = []
    for wave in waves(divider, rows):
        keys = [{key_of(each) for each in send.rows} for send in wave]
        assert sum(map(len, keys)) == len(set().union(*keys)), "two sends in flight have a key in common"
        assert wave, "nothing is sent, so nothing will ever be"
        for send in wave:
            assert send.size_bytes <= BATCH_BYTES
            assert send.partition is not None or len(send.rows) == 1
            sent += send.rows
    assert sorted(each.id for each in sent) == list(range(len(rows)))
    for key in {key_of(each) for each in rows}:
        assert [each.id for each in sent if key_of(each) == key] == [each.id for each in rows if key_of(each) == key]


def test_when_the_broker_is_away_the_first_row_of_each_key_has_failed() -> None:
    finished, error = Finished(), KafkaConnectionError()
    finished.add(Send([row(1, "k1"), row(2, "k2"), row(3, "k1"), row(4, "k2")], 0), error)
    assert [(each.id, why) for each, why in finished.failed] == [(1, error), (2, error)]
    assert (finished.sent, finished.refused) == ([], [])


def test_when_a_batch_is_refused_none_of_its_rows_has_failed_yet_unless_it_is_the_only_one() -> None:
    finished, error = Finished(), MessageSizeTooLargeError()
    rows = [row(1, "k1"), row(2, "k2")]
    finished.add(Send(rows, 0), error)
    assert (finished.refused, finished.failed) == (rows, [])
    finished.add(Send([row(3, "k3")], 0), error)
    assert [each.id for each, _ in finished.failed] == [3]
    assert finished.unsent_keys() == {("a", "k1"), ("a", "k2"), ("a", "k3")}


@given(st.text(st.characters(codec="utf-8")))
def test_a_key_has_the_hash_that_aiokafka_gives_it(key: str) -> None:
    assert _hash(key) == murmur2(key.encode()) & 0x7FFFFFFF


@given(st.text(st.characters(codec="utf-8")), st.sets(st.integers(0, 9), min_size=1))
def test_a_key_has_the_partition_that_aiokafka_chooses_among_those_that_the_broker_named(
    key: str, named: set[int]
) -> None:
    cluster = SimpleNamespace(partitions_for_topic=lambda _topic: set(named))
    producer = KnownPartitions()
    producer._producer = SimpleNamespace(client=SimpleNamespace(cluster=cluster))
    chosen = Producer.partition_of(producer, "topic", key)
    assert chosen == DefaultPartitioner()(key.encode(), sorted(named), [])
