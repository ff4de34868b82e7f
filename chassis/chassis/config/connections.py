"""The settings of the connections to Redis, Kafka, userfc and PostgreSQL, with TLS and credentials."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.config.addresses import Brokers, HostPort
from chassis.config.declare import Days, Port, PositiveInt, setting
from chassis.config.tls import CaFile, PemFile

GRPC_TLS = ("grpc_tls_cert", "grpc_tls_key", "grpc_tls_ca")


def audit_role(database: str) -> str:
    """Return the name of the role that may only read a database: a server that has several has one for each."""
    return f"{database}_auditor"


class RedisSettings(BaseSettings):
    """The connection to Redis."""

    model_config = SettingsConfigDict(defer_build=True)

    redis_host: str = setting("redis.host", "localhost")
    redis_port: Port = setting("redis.port", 6379)
    redis_password: SecretStr = setting("redis.password", dev="admin", secret=True)
    redis_tls: bool = setting("redis.tls", False)
    redis_cafile: CaFile | None = setting("redis.cafile", None)

    def plaintext(self) -> Iterator[tuple[str, str]]:
        """Yield the settings that leave a connection without TLS, or without a check of certificate and name."""
        if not self.redis_tls:
            yield "redis_tls", "must be true"


class KafkaSettings(BaseSettings):
    """The connection to Kafka, and how topics are made."""

    model_config = SettingsConfigDict(defer_build=True)

    kafka_broker: Brokers = setting("kafka.broker", "localhost:29092")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = setting(
        "kafka.security_protocol", "PLAINTEXT"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = setting(
        "kafka.sasl_mechanism", "SCRAM-SHA-512"
    )
    kafka_sasl_username: str | None = setting("kafka.sasl_username", None)
    kafka_sasl_password: SecretStr | None = setting("kafka.sasl_password", None, secret=True)
    kafka_ssl_cafile: CaFile | None = setting("kafka.ssl_cafile", None)
    kafka_partitions: PositiveInt = setting("kafka.partitions", 6)
    kafka_replication: PositiveInt = setting("kafka.replication", 3, dev=1)

    @model_validator(mode="after")
    def _refuse_sasl_without_a_user(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL_"):
            missing = [name for name in ("kafka_sasl_username", "kafka_sasl_password") if not getattr(self, name)]
            if missing:
                raise ValueError(f"setting {missing[0].upper()}: is missing, and KAFKA_SECURITY_PROTOCOL needs it")
        return self

    def plaintext(self) -> Iterator[tuple[str, str]]:
        """Yield the settings that leave a connection without TLS, or without a check of certificate and name."""
        if self.kafka_security_protocol not in ("SSL", "SASL_SSL"):
            yield "kafka_security_protocol", "must be SSL or SASL_SSL"


class ConnectionSettings(RedisSettings, KafkaSettings):
    """What every process connects to. Without TLS settings nothing is encrypted, which production refuses."""

    # Only the settings of the service that runs are built.
    model_config = SettingsConfigDict(defer_build=True)

    kafka_session_timeout_ms: PositiveInt = setting("kafka.session_timeout_ms", 10_000)

    user_service_addr: HostPort = setting("user_service.addr", "localhost:50051")
    grpc_credentials: SecretStr = setting("grpc_credentials", dev="development-grpc-credentials", secret=True)
    grpc_tls_cert: PemFile | None = setting("grpc.tls_cert", None)
    grpc_tls_key: PemFile | None = setting("grpc.tls_key", None)
    grpc_tls_ca: CaFile | None = setting("grpc.tls_ca", None)

    @model_validator(mode="after")
    def _refuse_halves(self) -> Self:
        absent = [name for name in GRPC_TLS if getattr(self, name) is None]
        if absent and len(absent) < len(GRPC_TLS):
            raise ValueError(f"setting {absent[0].upper()}: is missing, and the other two of GRPC_TLS_* need it")
        return self

    def plaintext(self) -> Iterator[tuple[str, str]]:
        """Yield the settings that leave a connection without TLS, or without a check of certificate and name."""
        yield from RedisSettings.plaintext(self)
        yield from KafkaSettings.plaintext(self)
        if self.grpc_tls_cert is None:
            yield "grpc_tls_cert", "must be set with GRPC_TLS_KEY and GRPC_TLS_CA"


class DatabaseTlsSettings(BaseSettings):
    """How connections to PostgreSQL are encrypted, and what is checked."""

    model_config = SettingsConfigDict(defer_build=True)

    db_sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = setting(
        "database.sslmode", "prefer"
    )
    db_sslrootcert: CaFile | None = setting("database.sslrootcert", None)

    def plaintext_database(self) -> Iterator[tuple[str, str]]:
        """Yield the setting that leaves the database without TLS, or without a check of certificate and name."""
        if self.db_sslmode != "verify-full":
            yield "db_sslmode", "must be verify-full"


class DatabaseSettings(DatabaseTlsSettings):
    """The service's own database, and how long what is in it is kept."""

    model_config = SettingsConfigDict(defer_build=True)

    service: ClassVar[str]
    # Of each table the columns that the auditor may read; None: all of every table, but for those in `unaudited`.
    audited: ClassVar[Mapping[str, Sequence[str]] | None] = None
    # Of these tables the columns that it has no need to read.
    unaudited: ClassVar[Mapping[str, Sequence[str]]] = {}

    db_host: str = setting("database.host", "localhost")
    db_port: Port = setting("database.port", 5433)
    db_user: str = setting("database.user", "admin")
    db_password: SecretStr = setting("database.password", dev="admin", secret=True)
    db_name: str = setting("database.name", "")
    db_migration_user: str | None = setting("database.migration_user", None)
    db_migration_password: SecretStr | None = setting("database.migration_password", None, secret=True)
    # Of the role that may only read: `migrate` makes it where there is a password for it.
    db_audit_password: SecretStr | None = setting("database.audit_password", None, secret=True)

    outbox_keep_days: Days = setting("retention.outbox_days", 7)
    inbox_keep_days: Days = setting("retention.inbox_days", 14)

    @model_validator(mode="before")
    @classmethod
    def _name_the_database(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "db_name": values.get("db_name") or cls.service}
