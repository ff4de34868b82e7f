"""Where the platform keeps what it knows, and how each store is reached."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from chassis.config.connections import KafkaSettings
from chassis.kafka.connection import connection
from fc.platform.errors import CouldNotCheck
from fc.platform.snapshot import Address


@dataclass(frozen=True, slots=True)
class XenditAddress:
    """The base URL of Xendit's API and its secret key; without a key it is the simulator's."""

    base_url: str
    secret_key: str | None = None


class _Given(KafkaSettings):
    """Settings of Kafka that are all given: none comes from the environment of this process."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the one source."""
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class Stores:
    """The addresses of the databases, Kafka, MongoDB, Xendit, Redis and of what takes spans; None for one not used.

    `kafka_settings` are the other settings of Kafka by the names that they have in KafkaSettings.
    """

    databases: Mapping[str, Address]
    kafka: str | None = None
    mongo: str | None = None
    xendit: XenditAddress | None = None
    spans: str | None = None
    redis: str | None = None
    kafka_settings: Mapping[str, Any] = field(default_factory=dict)

    def brokers(self) -> KafkaSettings:
        """Return the settings with which Kafka is reached. Raises CouldNotCheck where it is left out."""
        if self.kafka is None:
            raise CouldNotCheck("Kafka is left out")
        return _Given(**{"kafka_replication": 1, **self.kafka_settings, "kafka_broker": self.kafka})

    def kafka_client(self) -> dict[str, Any]:
        """Return the arguments of a client of aiokafka. Raises CouldNotCheck where Kafka is left out."""
        return connection(self.brokers())


def kafka_settings(settings: KafkaSettings) -> dict[str, Any]:
    """Return what else than the address a process has about Kafka, for `Stores`."""
    return {name: getattr(settings, name) for name in KafkaSettings.model_fields if name != "kafka_broker"}


def redis_url(host: str, port: int | str, password: str, *, tls: bool = False, cafile: str | None = None) -> str:
    """Return the URL that redis-py takes."""
    authorities = f"?ssl_ca_certs={quote(cafile)}" if cafile and tls else ""
    return f"{'rediss' if tls else 'redis'}://:{quote(password, safe='')}@{host}:{port}{authorities}"
