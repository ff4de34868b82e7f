"""Puts the report of a run on the topic `operations.audits`, where the console reads it."""

import getpass
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from chassis.errors import Refused
from chassis.kafka.connection import connection
from chassis.kafka.topics import ensure_topics
from console.model.audits import MAX_BYTES, TOPIC, record
from fc.audit.report import Report
from fc.platform.errors import CouldNotCheck
from fc.platform.stores import Stores

REQUEST_MS = 10_000
# Until the broker answers.
DEADLINE_S = 20
# Above the largest report: the record has a head of its own.
MAX_REQUEST_BYTES = MAX_BYTES + 64 * 1024


async def publish(stores: Stores, report: Report) -> None:
    """Write the report and wait until all replicas have it; the first one makes the topic. Raises CouldNotCheck."""
    if stores.kafka is None:
        raise CouldNotCheck("the report is not published: Kafka is left out")
    began_at = datetime.now(UTC) - timedelta(seconds=report.seconds)
    value = record(report.summary(), (finding.as_json() for finding in report.findings), began_at, _operator())
    settings = stores.brokers()
    try:
        await ensure_topics(settings, [TOPIC], deadline_s=DEADLINE_S)
        producer = AIOKafkaProducer(
            **connection(settings),
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
    except (Refused, KafkaError, OSError, TimeoutError) as error:
        raise CouldNotCheck(f"the report is not published: {str(error) or type(error).__name__}") from error


def _operator() -> str:
    """Return the name of the user of the operating system."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # The user of a container may have a number and no name.
        return f"uid {os.getuid()}"
