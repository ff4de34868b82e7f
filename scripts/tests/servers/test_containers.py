"""Tests in containers use the images that compose pins, and a broker that is set up like the one there."""

import re
import subprocess

import pytest
import yaml

from fc.stack.layout import ROOT
from testkit import containers

SERVICES = yaml.safe_load(containers.COMPOSE.read_text(encoding="utf-8"))["services"]


@pytest.mark.parametrize(
    ("name", "service"), [("postgres", "userfc-db"), ("redis", "redis"), ("apache/kafka", "kafka"), ("mongo", "mongo")]
)
def test_an_image_is_the_one_of_compose(name: str, service: str) -> None:
    assert containers.image(name) == SERVICES[service]["image"]


def test_the_version_of_a_server_is_named_in_compose_and_in_the_chart_that_is_compared_with_it_alone() -> None:
    names = {one["image"].split(":")[0] for one in SERVICES.values() if not one["image"].startswith("go-commerce/")}
    pinned = re.compile(rf"(?<![\w/.-])({'|'.join(map(re.escape, names))}):v?\d")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    sources = [name for name in tracked if not name.endswith((".md", ".txt")) and (ROOT / name).is_file()]
    found = {name for name in sources if pinned.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))}
    assert found == {"docker-compose.yml", "deploy/helm/go-commerce/values-dev.yaml"}


def test_a_broker_makes_no_topic_by_chance_and_needs_no_zookeeper() -> None:
    settings = containers._kafka_settings("localhost", 40_000)
    assert settings["KAFKA_ADVERTISED_LISTENERS"] == "HOST://localhost:40000,BROKER://localhost:9094"
    for name in ("CLUSTER_ID", "KAFKA_PROCESS_ROLES", "KAFKA_AUTO_CREATE_TOPICS_ENABLE"):
        assert settings[name] == SERVICES["kafka"]["environment"][name]
