"""Tests in containers use the images that compose pins, and a broker that is set up like the one there."""

import pytest
import yaml

from testkit import containers

SERVICES = yaml.safe_load(containers.COMPOSE.read_text(encoding="utf-8"))["services"]


@pytest.mark.parametrize(
    ("name", "service"), [("postgres", "userfc-db"), ("redis", "redis"), ("apache/kafka", "kafka"), ("mongo", "mongo")]
)
def test_an_image_is_the_one_of_compose(name: str, service: str) -> None:
    assert containers.image(name) == SERVICES[service]["image"]


def test_a_broker_makes_no_topic_by_chance_and_needs_no_zookeeper() -> None:
    settings = containers._kafka_settings("localhost", 40_000)
    assert settings["KAFKA_ADVERTISED_LISTENERS"] == "HOST://localhost:40000"
    for name in ("CLUSTER_ID", "KAFKA_PROCESS_ROLES", "KAFKA_AUTO_CREATE_TOPICS_ENABLE"):
        assert settings[name] == SERVICES["kafka"]["environment"][name]
