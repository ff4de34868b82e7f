"""The addresses of everything that the platform keeps: of a local stack, or of docker compose."""

from typing import Self

from rich.console import Console

from chassis.db.tls import tls
from fc.platform.snapshot import Address
from fc.platform.stores import Stores, XenditAddress, kafka_settings, redis_url
from fc.stack import compose
from fc.stack.compose import Compose
from fc.stack.layout import ROOT, SERVICES, SIMULATOR, Layout
from fc.stack.programs import Programs, developer_settings
from fc.stack.startup import connection_settings
from servers.postgres import PASSWORD, app_role
from servers.redis import PASSWORD as REDIS_PASSWORD

__all__ = ["COMPOSE_PORTS", "Sources", "XenditAddress"]

COMPOSE_PORTS = {"userfc": 5433, "productfc": 5434, "orderfc": 5435, "paymentfc": 5436}
COMPOSE_SPANS = "http://localhost:4318"
DEVELOPMENT_KEY = "xnd_development_local"


class Sources(Stores):
    """The stores of this machine's platform."""

    __slots__ = ()

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
            settings = connection_settings(programs, service)
            password = settings.db_password.get_secret_value()
            databases[service] = Address(
                settings.db_host, settings.db_port, settings.db_user, password, settings.db_name, tls(settings)
            )
        payment = programs.environment("paymentfc")
        xendit = XenditAddress(layout.url(SIMULATOR))
        if not programs.simulated:
            xendit = XenditAddress(payment["XENDIT_BASE_URL"], payment.get("XENDIT_SECRET_API_KEY", DEVELOPMENT_KEY))
        spans = payment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        product = programs.environment("productfc")
        redis = redis_url(product["REDIS_HOST"], product["REDIS_PORT"], product["REDIS_PASSWORD"])
        others = kafka_settings(connection_settings(programs, "paymentfc"))
        return cls(databases, payment["KAFKA_BROKER"], payment["MONGO_URI"], xendit, spans, redis, others)

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
        redis = redis_url("localhost", layout.port("redis"), settings.get("REDIS_PASSWORD", REDIS_PASSWORD))
        mongo, others = f"mongodb://localhost:{layout.port('mongo')}", kafka_settings(Compose(Console()).kafka())
        return cls(databases, kafka, mongo, xendit, COMPOSE_SPANS, redis, others)
