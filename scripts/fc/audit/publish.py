"""Puts the report of a run on the topic `operations.audits`, where the console reads it."""

import getpass
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from console.model.audits import CONFIGS, MAX_BYTES, TOPIC, record
from contracts.topics import PRODUCERS
from fc.audit.report import Report
from fc.platform.errors import CouldNotCheck

REQUEST_MS = 10_000
# Above the largest report: the record has a head of its own.
MAX_REQUEST_BYTES = MAX_BYTES + 64 * 1024


async def publish(address: str | None, report: Report) -> None:
    """Write the report and wait until all replicas have it; the first one makes the topic. Raises CouldNotCheck."""
    if address is None:
        raise CouldNotCheck("the report is not published: Kafka is left out")
    began_at = datetime.now(UTC) - timedelta(seconds=report.seconds)
    value = record(report.summary(), (finding.as_json() for finding in report.findings), began_at, _operator())
    try:
        await _make_topic(address)
        producer = AIOKafkaProducer(
            bootstrap_servers=address,
            acks="all",
            client_id="fc-audit",
            request_timeout_ms=REQUEST_MS,
            max_request_size=MAX_REQUEST_BYTES,
        )
        try:
            await producer.start()
            await producer.send_and_wait(TOPIC, value, partition=0)
        finally:
            with suppress(KafkaError, OSError):
                await producer.stop()
    except (KafkaError, OSError, TimeoutError) as error:
        raise CouldNotCheck(f"the report is not published: {str(error) or type(error).__name__}") from error


async def _make_topic(address: str) -> None:
    """Make the topic with as many replicas as a topic of the saga has, unless it exists."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address, client_id="fc-audit", request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        if TOPIC in await admin.list_topics():
            return
        described = {each["topic"]: each for each in await admin.describe_topics([min(PRODUCERS)])}
        partitions = described[min(PRODUCERS)]["partitions"] if min(PRODUCERS) in described else []
        replicas = len(partitions[0]["replicas"]) if partitions else 1
        answer = await admin.create_topics([NewTopic(TOPIC, 1, replicas, topic_configs=CONFIGS)])
        for _, code, *_ in answer.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(f"topic {TOPIC}")
    finally:
        with suppress(KafkaError, OSError):
            await admin.close()


def _operator() -> str:
    """Return the name of the user of the operating system."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # The user of a container may have a number and no name.
        return f"uid {os.getuid()}"
