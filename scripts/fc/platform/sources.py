"""Where everything is that an audit reads: of a local stack, of docker compose, or as a test arranges it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from fc.audit.reading.xendit import Gateway, XenditApi, XenditSimulator
from fc.platform.snapshot import Address
from fc.stack.layout import ROOT, SERVICES, Layout
from fc.stack.programs import SIMULATOR, Programs, given_settings
from servers.postgres import PASSWORD

COMPOSE_PORTS = {"userfc": 5433, "productfc": 5434, "orderfc": 5435, "paymentfc": 5436}
DEVELOPMENT_KEY = "xnd_development_local"


@dataclass(frozen=True, slots=True)
class Sources:
    """Addresses of the four databases, of Kafka and MongoDB, and who tells about Xendit; None is not read."""

    databases: Mapping[str, Address]
    kafka: str | None = None
    mongo: str | None = None
    xendit: Gateway | None = None

    @classmethod
    def of_stack(cls, layout: Layout) -> Self:
        """Find the parts of a local stack."""
        programs = Programs(layout)
        told = {service: programs.environment(service) for service in SERVICES}
        databases = {
            service: Address(
                env["DB_HOST"], int(env["DB_PORT"]), env["DB_USER"], env["DB_PASSWORD"], env["DB_NAME"]
            )
            for service, env in told.items()
        }  # fmt: skip
        payment = told["paymentfc"]
        xendit: Gateway = (
            XenditSimulator(layout.url(SIMULATOR))
            if programs.simulated
            else XenditApi(payment["XENDIT_BASE_URL"], payment.get("XENDIT_SECRET_API_KEY", DEVELOPMENT_KEY))
        )
        return cls(databases, payment["KAFKA_BROKER"], payment["MONGO_URI"], xendit)

    @classmethod
    def of_compose(cls) -> Self:
        """Find the ports that docker compose publishes on this machine."""
        given = given_settings()
        layout = Layout(ROOT)
        databases = {
            service: Address("localhost", port, "admin", given.get("DB_PASSWORD", PASSWORD), service)
            for service, port in COMPOSE_PORTS.items()
        }
        base_url = given.get("XENDIT_BASE_URL", "")
        xendit: Gateway = (
            XenditApi(base_url, given.get("XENDIT_SECRET_API_KEY", DEVELOPMENT_KEY))
            if base_url
            else XenditSimulator(layout.url(SIMULATOR))
        )
        return cls(
            databases, f"localhost:{layout.port('kafka')}", f"mongodb://localhost:{layout.port('mongo')}", xendit
        )
