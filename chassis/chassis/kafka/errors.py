"""What an error of the Kafka client means: the broker is away, or one topic can't be written to."""

from aiokafka.errors import (
    BrokerResponseError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    RequestTimedOutError,
)


def is_broker_trouble(error: BaseException) -> bool:
    """Whether the broker is away or slow, rather than this record wrong."""
    if isinstance(error, KafkaError):
        return bool(getattr(error, "retriable", False)) or isinstance(error, KafkaConnectionError | KafkaTimeoutError)
    return isinstance(error, OSError | TimeoutError)


def is_topic_trouble(error: BaseException) -> bool:
    """Whether the broker has answered that one topic can't be written to now, for example that it does not exist."""
    answered = isinstance(error, BrokerResponseError) and not isinstance(error, RequestTimedOutError)
    return answered and is_broker_trouble(error)
