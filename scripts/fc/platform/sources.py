"""The addresses of everything that the platform keeps: of a local stack, or of docker compose."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

from fc.platform.snapshot import Address
from fc.stack import compose
from fc.stack.layout import ROOT, SERVICES, SIMULATOR, Layout
from fc.stack.programs import Programs, developer_settings
from servers.postgres import PASSWORD, app_role
from servers.redis import PASSWORD as REDIS_PASSWORD

COMPOSE_PORTS = {"userfc": 5433, "productfc": 5434, "orderfc": 5435, "paymentfc": 5436}
COMPOSE_SPANS = "http://localhost:4318"
DEVELOPMENT_KEY = "xnd_development_local"


@dataclass(frozen=True, slots=True)
class XenditAddress:
    """The base URL of Xendit's API and its secret key; without a key it is the simulator's."""

    base_url: str
    secret_key: str | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """The addresses of the databases, Kafka, MongoDB, Xendit, Redis and of what takes spans; None for one not used."""

    databases: Mapping[str, Address]
    kafka: str | None = None
    mongo: str | None = None
    xendit: XenditAddress | None = None
    spans: str | None = None
    redis: str | None = None

    @classmethod
    def here(cls) -> Self:
        """Return those of this machine's platform: docker compose where an engine answers, else the local stack."""
        return cls.of_compose() if compose.engine() else cls.of_stack(Layout.from_environment())

    @classmethod
    def of_stack(cls, layout: Layout) -> Self:
        """Return the addresses of a local stack."""
        programs = Programs(layout)
        databases = {}
        for service in SERVICES:
            env = programs.environment(service)
            databases[service] = Address(
                env["DB_HOST"], int(env["DB_PORT"]), env["DB_USER"], env["DB_PASSWORD"], env["DB_NAME"]
            )
        payment = programs.environment("paymentfc")
        xendit = XenditAddress(layout.url(SIMULATOR))
        if not programs.simulated:
            xendit = XenditAddress(payment["XENDIT_BASE_URL"], payment.get("XENDIT_SECRET_API_KEY", DEVELOPMENT_KEY))
        spans = payment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        product = programs.environment("productfc")
        redis = _redis(product["REDIS_HOST"], product["REDIS_PORT"], product["REDIS_PASSWORD"])
        return cls(databases, payment["KAFKA_BROKER"], payment["MONGO_URI"], xendit, spans, redis)

    @classmethod
    def of_compose(cls) -> Self:
        """Return the ports that docker compose publishes on this machine."""
        settings = developer_settings()
        layout = Layout(ROOT)
        databases = {
            service: Address("localhost", port, app_role(service), settings.get("DB_PASSWORD", PASSWORD), service)
            for service, port in COMPOSE_PORTS.items()
        }
        xendit = XenditAddress(layout.url(SIMULATOR))
        if base_url := settings.get("XENDIT_BASE_URL"):
            xendit = XenditAddress(base_url, settings.get("XENDIT_SECRET_API_KEY", DEVELOPMENT_KEY))
        kafka = ",".join(f"localhost:{layout.port(name)}" for name in compose.brokers(settings))
        redis = _redis("localhost", layout.port("redis"), settings.get("REDIS_PASSWORD", REDIS_PASSWORD))
        return cls(databases, kafka, f"mongodb://localhost:{layout.port('mongo')}", xendit, COMPOSE_SPANS, redis)


def _redis(host: str, port: int | str, password: str) -> str:
    return f"redis://:{quote(password, safe='')}@{host}:{port}"
