"""The servers of a test session in containers: the images of docker-compose.yml, so that one list pins them."""

import re
from pathlib import Path
from typing import Any

from testcontainers.community.postgres import PostgresContainer
from testcontainers.community.redis import RedisContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

COMPOSE = Path(__file__).resolve().parents[2] / "docker-compose.yml"
PASSWORD = "admin"
MONGO_PORT = 27017
KAFKA_PORT = 9092
KAFKA_START_S = 90
# A busy engine has taken more than its client's minute to remove a container.
PATIENT = {"timeout": 300}


def image(name: str) -> str:
    """Return the image of this name, such as `redis`, with the tag that compose pins."""
    [found] = set(re.findall(rf"^ +image: ({re.escape(name)}:\S+)$", COMPOSE.read_text(encoding="utf-8"), re.MULTILINE))
    return str(found)


def postgres() -> PostgresContainer:
    return PostgresContainer(image("postgres"), username="admin", password=PASSWORD, docker_client_kw=PATIENT)


def redis() -> RedisContainer:
    return RedisContainer(image("redis"), password=PASSWORD, docker_client_kw=PATIENT)


def mongo() -> DockerContainer:
    """Return a server without log-in, as in compose. The library's own class gives it a user and a password."""
    container = DockerContainer(image("mongo"), docker_client_kw=PATIENT).with_exposed_ports(MONGO_PORT)
    return container.waiting_for(LogMessageWaitStrategy(re.compile("waiting for connections", re.IGNORECASE)))


def kafka(port: int) -> DockerContainer:
    """Return a broker in KRaft mode that a client on this machine reaches at `port`, without automatic topics.

    The library's own class starts Kafka 3.6 with ZooKeeper. The port is fixed, because a broker has to advertise it.
    """
    container = DockerContainer(image("apache/kafka"), docker_client_kw=PATIENT).with_bind_ports(KAFKA_PORT, port)
    for name, value in _kafka_settings(container.get_container_host_ip(), port).items():
        container.with_env(name, value)
    container.waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(KAFKA_START_S))
    return container


def _kafka_settings(host: str, port: int) -> dict[str, Any]:
    return {
        "CLUSTER_ID": "9dJzdG1vQk2cT0hXyW5kXA",
        # As the broker without Docker: the cleaner's buffer alone would take half of a small heap.
        "KAFKA_HEAP_OPTS": "-Xmx256m",
        "KAFKA_JVM_PERFORMANCE_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        "KAFKA_LOG_CLEANER_DEDUPE_BUFFER_SIZE": "8388608",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"HOST://:{KAFKA_PORT},CONTROLLER://localhost:9093,BROKER://localhost:9094",
        # A transaction begins with a connection of the broker to itself, and it can't reach the port of this machine.
        "KAFKA_ADVERTISED_LISTENERS": f"HOST://{host}:{port},BROKER://localhost:9094",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "HOST:PLAINTEXT,CONTROLLER:PLAINTEXT,BROKER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
