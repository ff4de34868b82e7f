"""How every Kafka client of a service connects: address, TLS and credentials."""

import ssl
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

from chassis.config.connections import KafkaSettings
from chassis.config.declare import plain
from chassis.errors import Refused, certificate_problem

ANSWER_MS = 5_000


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """Return the arguments that aiokafka's producer, consumer and admin client share."""
    protocol = settings.kafka_security_protocol
    arguments: dict[str, Any] = {"bootstrap_servers": settings.kafka_broker, "security_protocol": protocol}
    if protocol.endswith("SSL"):
        arguments["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if protocol.startswith("SASL_"):
        arguments["sasl_mechanism"] = settings.kafka_sasl_mechanism
        arguments["sasl_plain_username"] = settings.kafka_sasl_username
        arguments["sasl_plain_password"] = plain(settings.kafka_sasl_password)
    return arguments


async def raise_refusal(settings: KafkaSettings) -> None:
    """Connect once to each broker. Raises Refused when one can't be trusted or does not know the user.

    aiokafka's clients hide the reason: they say only that no broker could be reached.
    """
    for address in settings.kafka_broker.split(","):
        await _raise_refusal_of(address.strip(), settings)


async def _raise_refusal_of(address: str, settings: KafkaSettings) -> None:
    host, _, port = address.rpartition(":")
    arguments = connection(settings)
    del arguments["bootstrap_servers"]
    try:
        opened = await create_conn(host, int(port), request_timeout_ms=ANSWER_MS, **arguments)
    except (SaslAuthenticationFailed, UnsupportedSaslMechanismError) as error:
        raise Refused(f"Kafka at {address} refuses the user or the password ({type(error).__name__})") from error
    except (KafkaError, OSError, TimeoutError) as error:
        if problem := certificate_problem(error):
            raise Refused(f"Kafka at {address}: {problem}") from error
    else:
        opened.close()
