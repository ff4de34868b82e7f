"""`deploy/compose.brokers.yml` makes a cluster of the one broker of `docker-compose.yml`, and every client knows it."""

from typing import Any

import yaml

from fc.stack.brokers import NAMES
from fc.stack.compose import BROKERS_FILE, brokers
from fc.stack.layout import ROOT, Layout
from tests.contract.compose import environment, resolved


class _Reader(yaml.SafeLoader):
    """Knows `!override`, with which a list replaces the one of the first file."""


def _list(loader: _Reader, node: yaml.SequenceNode) -> list[Any]:
    return list(loader.construct_sequence(node))


_Reader.add_constructor("!override", _list)
OVERRIDE: dict[str, Any] = yaml.load((ROOT / BROKERS_FILE).read_text(encoding="utf-8"), _Reader)
CLIENTS = {"KAFKA_BROKER": "kafka:9092,kafka-2:9092,kafka-3:9092", "KAFKA_REPLICATION": 3}


def merged(name: str) -> dict[str, str]:
    """Return the environment of a broker in the cluster."""
    own = {key: str(value) for key, value in OVERRIDE["services"][name]["environment"].items()}
    return {**environment(resolved(), "kafka"), **own}


def test_every_container_that_is_told_one_broker_is_told_all_three() -> None:
    # A migration does not talk to Kafka.
    compose = resolved()
    told = [name for name in compose["services"] if "KAFKA_BROKER" in environment(compose, name)]
    clients = [name for name in told if not name.endswith("-migrate")]
    assert len(clients) >= 6
    for name in clients:
        assert CLIENTS.items() <= OVERRIDE["services"][name]["environment"].items(), name


def test_kafdrop_is_told_them_by_its_own_name() -> None:
    assert OVERRIDE["services"]["kafdrop"]["environment"] == {"KAFKA_BROKERCONNECT": CLIENTS["KAFKA_BROKER"]}


def test_each_broker_has_its_own_number_rack_name_port_and_volume() -> None:
    for number, name in enumerate(NAMES, start=1):
        env, port = merged(name), Layout(ROOT).port(name)
        assert (env["KAFKA_NODE_ID"], env["KAFKA_BROKER_RACK"]) == (str(number), f"rack-{number}")
        assert env["KAFKA_ADVERTISED_LISTENERS"] == f"INTERNAL://{name}:9092,HOST://localhost:{port}"
        assert env["KAFKA_LISTENERS"] == f"INTERNAL://:9092,HOST://:{port},CONTROLLER://:9093"
        own = OVERRIDE["services"][name]
        volume = f"kafka-{number}"
        assert own["volumes"] == [f"{volume}:/var/lib/kafka/data"]
        # Not that of one broker: its data would be read by a cluster that it does not belong to.
        assert volume in OVERRIDE["volumes"]
        assert volume not in resolved()["volumes"]
        if name != "kafka":
            assert own["ports"] == [f"${{BIND_ADDRESS:-127.0.0.1}}:{port}:{port}"]
            assert f"localhost:{port} " in own["healthcheck"]["test"][1]


def test_the_brokers_are_one_cluster_that_keeps_three_copies_of_which_two_have_to_be_written() -> None:
    voters = ",".join(f"{number}@{name}:9093" for number, name in enumerate(NAMES, start=1))
    for name in NAMES:
        env = merged(name)
        assert env["KAFKA_CONTROLLER_QUORUM_VOTERS"] == voters
        assert env["CLUSTER_ID"] != environment(resolved(), "kafka")["CLUSTER_ID"]
        copies = {value for key, value in env.items() if key.endswith("REPLICATION_FACTOR")}
        in_sync = {value for key, value in env.items() if key.endswith(("_MIN_ISR", "_MIN_INSYNC_REPLICAS"))}
        assert (copies, in_sync) == ({"3"}, {"2"})


def test_topics_are_made_when_all_brokers_are_there_to_take_a_copy() -> None:
    for service in ("productfc-topics", "orderfc-topics", "paymentfc-topics"):
        assert set(OVERRIDE["services"][service]["depends_on"]) == {"kafka-2", "kafka-3"}


def test_fc_finds_the_brokers_that_compose_file_names() -> None:
    assert brokers({}) == ("kafka",)
    assert brokers({"COMPOSE_FILE": f"docker-compose.yml:{BROKERS_FILE}"}) == NAMES
