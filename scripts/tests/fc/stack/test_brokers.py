"""How many brokers a stack has: chosen once, kept with its data, and never changed under it."""

import pytest

from fc.stack import brokers
from fc.stack.errors import StackError
from fc.stack.layout import PORTS, Layout
from fc.stack.programs import Programs

THREE = ("kafka", "kafka-2", "kafka-3")


def give_data(layout: Layout) -> None:
    for broker in brokers.of(layout):
        (broker.home / "data").mkdir(parents=True)
        (broker.home / "data" / "meta.properties").touch()


def test_without_a_choice_there_is_one_broker(layout: Layout) -> None:
    programs = Programs(layout, settings={})
    assert [broker.name for broker in programs.brokers] == ["kafka"]
    assert programs.environment("orderfc")["KAFKA_BROKER"] == "localhost:30092"
    assert "KAFKA_REPLICATION" not in programs.environment("orderfc")


def test_every_service_is_told_all_three_brokers_and_to_keep_three_copies(layout: Layout) -> None:
    brokers.choose(layout, 3)
    programs = Programs(layout, {"KAFKA_REPLICATION": "1"}, settings={})
    for service in ("productfc", "orderfc", "paymentfc"):
        told = programs.environment(service)
        assert told["KAFKA_BROKER"] == "localhost:30092,localhost:30094,localhost:30096"
        assert told["KAFKA_REPLICATION"] == "3"
    assert [name for name in programs.names() if name.startswith("kafka")] == list(THREE)


def test_the_brokers_are_of_one_cluster_and_each_in_a_rack_of_its_own(layout: Layout) -> None:
    brokers.choose(layout, 3)
    nodes = brokers.of(layout)
    assert len({broker.port for broker in nodes}) == len({broker.home for broker in nodes}) == 3
    assert len({broker.cluster for broker in nodes}) == 1
    texts = [broker._properties().splitlines() for broker in nodes]
    for number, text in enumerate(texts, start=1):
        assert {f"node.id={number}", f"broker.rack=rack-{number}", "min.insync.replicas=2"} <= set(text)
        assert "default.replication.factor=3" in text
        assert "controller.quorum.bootstrap.servers=127.0.0.1:30093,127.0.0.1:30095,127.0.0.1:30097" in text


def test_the_choice_is_kept_and_need_not_be_repeated(layout: Layout) -> None:
    brokers.choose(layout, 3)
    before = brokers.cluster(layout)
    give_data(layout)
    brokers.choose(layout, 3)
    assert brokers.cluster(layout) == before
    assert [broker.name for broker in brokers.of(layout)] == list(THREE)


@pytest.mark.parametrize(
    ("data_of", "asked", "says"),
    [(1, 3, "is of one broker and can't become that of 3 brokers"), (3, 1, "is of 3 brokers and can't become that of")],
)
def test_data_of_another_number_of_brokers_is_refused_and_left_as_it_is(
    layout: Layout, data_of: int, asked: int, says: str
) -> None:
    brokers.choose(layout, data_of)
    give_data(layout)
    before = sorted(layout.home.rglob("*"))
    with pytest.raises(StackError, match=says):
        brokers.choose(layout, asked)
    assert sorted(layout.home.rglob("*")) == before
    assert len(brokers.of(layout)) == data_of


def test_a_choice_without_data_can_be_changed(layout: Layout) -> None:
    brokers.choose(layout, 3)
    brokers.choose(layout, 1)
    assert len(brokers.of(layout)) == 1


@pytest.mark.parametrize("count", [0, 2, 4])
def test_another_number_is_refused(layout: Layout, count: int) -> None:
    with pytest.raises(StackError, match=f"--brokers takes 1 or 3, got {count}"):
        brokers.choose(layout, count)


def test_the_ports_of_brokers_that_are_not_there_may_be_anybodys(layout: Layout) -> None:
    others = {"kafka-2", "kafka-2_controller", "kafka-3", "kafka-3_controller"}
    assert Programs(layout, settings={}, console=True).ports() == set(PORTS) - others
    brokers.choose(layout, 3)
    assert Programs(layout, settings={}, console=True).ports() == set(PORTS)
