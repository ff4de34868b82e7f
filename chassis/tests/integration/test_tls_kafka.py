"""Kafka with SASL over TLS: producer, consumer and topics connect with the right authority, name and password only."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from chassis.config.settings import ServiceSettings, load
from chassis.errors import Refused
from chassis.events import Message
from chassis.kafka.consumer import ConsumerRunner
from chassis.kafka.producer import Producer
from chassis.kafka.topics import ensure_topics
from servers.kafka import PASSWORD, USER, Kafka
from testkit import Servers, eventually
from testkit.certificates import Certificates

TOPIC = "tls.tested"
OTHER_NAME = "127.1"
UNKNOWN_AUTHORITY = "its certificate is refused: unable to get local issuer certificate"
WRONG_NAME = f"its certificate is refused: Hostname mismatch, certificate is not valid for '{OTHER_NAME}'"


@pytest.fixture(scope="module")
def kafka(servers: Servers, certificates: Certificates) -> dict[str, Any]:
    """Start a broker and return arguments for settings that check its certificate."""
    return {
        "kafka_broker": f"localhost:{servers.native(Kafka, certificates.tls).port}",
        "kafka_security_protocol": "SASL_SSL",
        "kafka_sasl_username": USER,
        "kafka_sasl_password": PASSWORD,
        "kafka_ssl_cafile": certificates.ca,
        "kafka_partitions": 1,
        "kafka_session_timeout_ms": 6000,
    }


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
async def test_topics_producer_and_consumer_work_over_sasl_and_tls(kafka: dict[str, Any], mechanism: str) -> None:
    settings = load(ServiceSettings, **kafka, kafka_sasl_mechanism=mechanism)
    topic = f"{TOPIC}.{mechanism.lower()}"
    assert await ensure_topics(settings, [topic]) == [topic, f"{topic}.dlq"]
    producer, stop = Producer(settings), asyncio.Event()
    arrived: list[bytes | None] = []

    async def handle(message: Message) -> None:
        arrived.append(message.value)

    running = asyncio.create_task(ConsumerRunner(settings, mechanism, {topic: handle}, producer).run(stop))
    try:
        await producer.ping()
        await producer.send(topic, b"{}", b"order-1", [])
        await eventually(lambda: arrived == [b"{}"], 60)
    finally:
        stop.set()
        await running
        await producer.close()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"kafka_ssl_cafile": None}, f": {UNKNOWN_AUTHORITY}"),
        ({"kafka_ssl_cafile": "stranger"}, f": {UNKNOWN_AUTHORITY}"),
        ({"host": OTHER_NAME}, f": {WRONG_NAME}"),
        ({"kafka_sasl_password": "wrong"}, " refuses the user or the password (SaslAuthenticationFailed)"),
        ({"kafka_sasl_username": "nobody"}, " refuses the user or the password (SaslAuthenticationFailed)"),
        (
            {"kafka_sasl_mechanism": "SCRAM-SHA-256"},
            " refuses the user or the password (UnsupportedSaslMechanismError)",
        ),
        ({"kafka_security_protocol": "PLAINTEXT"}, " has not answered for 4 s"),
    ],
)
async def test_a_broker_that_is_not_ours_or_refuses_us_is_named_in_one_sentence(
    kafka: dict[str, Any], strangers_ca: str, changed: dict[str, Any], says: str
) -> None:
    given = {**kafka, **changed}
    if given["kafka_ssl_cafile"] == "stranger":
        given["kafka_ssl_cafile"] = strangers_ca
    if host := given.pop("host", None):
        given["kafka_broker"] = given["kafka_broker"].replace("localhost", host)
    settings = load(ServiceSettings, **given)
    producer = Producer(settings)
    with pytest.raises(KafkaError):
        await producer.ping()
    await producer.close()
    with pytest.raises(Refused) as refused:
        await ensure_topics(settings, [TOPIC], deadline_s=4)
    assert str(refused.value) == f"Kafka at {given['kafka_broker']}{says}"
