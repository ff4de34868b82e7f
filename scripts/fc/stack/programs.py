"""What a stack is made of: the servers, the simulator and the four services, each with its command and environment."""

import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module

from dotenv import dotenv_values

from chassis.config.settings import ServiceSettings
from fc.stack.accounts import ADMIN
from fc.stack.layout import PORTS, ROOT, SERVICES, Layout
from fc.stack.supervisor import Program
from servers.base import Server
from servers.kafka import Kafka
from servers.mongo import Mongo
from servers.postgres import PASSWORD as DATABASE_PASSWORD
from servers.postgres import Postgres
from servers.redis import PASSWORD as REDIS_PASSWORD
from servers.redis import Redis

HOST = "localhost"
SIMULATOR = "xendit"


def settings_class(service: str) -> type[ServiceSettings]:
    """Give a service's settings class."""
    found: type[ServiceSettings] = import_module(f"{service}.config").Settings
    return found


def setting_names(service: str) -> set[str]:
    """Give the environment names that a service reads, aliases included."""
    names = set()
    for name, field in settings_class(service).model_fields.items():
        extra = field.json_schema_extra
        aliases = extra.get("aliases", []) if isinstance(extra, dict) else []
        names |= {name.upper(), *(str(alias).upper() for alias in (aliases if isinstance(aliases, list) else []))}
    return names


def given_settings() -> dict[str, str]:
    """Read what the developer says: the process's environment over the `.env` of the checkout."""
    file = {name: value for name, value in dotenv_values(ROOT / ".env").items() if value}
    return {**file, **{name: value for name, value in os.environ.items() if value}}


class Programs:
    """The programs of one stack. `overrides` are settings of all services that win over everything but addresses.

    `given` stands for what the developer says; None reads it. `reach` maps a part to the port at which the services
    reach it when that is not its own, because a test has put a proxy in between.
    """

    def __init__(
        self, layout: Layout, overrides: Mapping[str, str] | None = None, given: Mapping[str, str] | None = None,
        reach: Mapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        self._layout = layout
        self._reach = {name: layout.port(name) for name in PORTS} | dict(reach or {})
        self._given = {**ADMIN, **(given_settings() if given is None else given), **(overrides or {})}
        home = layout.home / "data"
        self.servers: list[Server] = [
            kind(home / kind.name, layout.port(kind.name)) for kind in (Postgres, Redis, Kafka, Mongo)
        ]

    @property
    def postgres(self) -> Postgres:
        """The database server."""
        return next(server for server in self.servers if isinstance(server, Postgres))

    @property
    def kafka(self) -> Kafka:
        """The broker."""
        return next(server for server in self.servers if isinstance(server, Kafka))

    @property
    def simulated(self) -> bool:
        """Tell whether the simulator stands in for Xendit: it does unless XENDIT_BASE_URL leads elsewhere."""
        return not self._given.get("XENDIT_BASE_URL") or self._given["XENDIT_BASE_URL"] == self._layout.url(SIMULATOR)

    def base_environment(self) -> dict[str, str]:
        """Give the environment of supervisord: the developer's own, without what would change a service by accident."""
        settings = set().union({"CONFIG_FILE"}, *(setting_names(service) for service in SERVICES))
        # The services read names in small letters, too.
        return {name: value for name, value in os.environ.items() if name.upper() not in settings}

    def environment(self, service: str) -> dict[str, str]:
        """Give the settings of a service: those given that it reads, and the addresses that the stack decides."""
        layout, reach = self._layout, self._reach
        known = setting_names(service)
        fixed = {
            "HTTP_PORT": str(layout.port(service)),
            "DB_HOST": HOST,
            "DB_PORT": str(reach["postgres"]),
            "DB_NAME": service,
            "DB_USER": service,
            "DB_PASSWORD": DATABASE_PASSWORD,
            "REDIS_HOST": HOST,
            "REDIS_PORT": str(reach["redis"]),
            "REDIS_PASSWORD": REDIS_PASSWORD,
            "KAFKA_BROKER": f"{HOST}:{reach['kafka']}",
            "MONGO_URI": f"mongodb://{HOST}:{reach['mongo']}",
            "USER_SERVICE_ADDR": f"{HOST}:{reach['grpc']}",
            "PRODUCT_HOST": f"http://{HOST}:{reach['productfc']}",
            "XENDIT_BASE_URL": self._given.get("XENDIT_BASE_URL") or f"http://{HOST}:{reach[SIMULATOR]}",
        }
        if service == "userfc":
            fixed["GRPC_PORT"] = str(layout.port("grpc"))
        given = {name: value for name, value in self._given.items() if name in known}
        return {**given, **{name: value for name, value in fixed.items() if name in known}, "PYTHONUNBUFFERED": "1"}

    def all(self) -> list[Program]:
        """Give every program in the order of starting."""
        found = [
            Program(server.name, server.command(), stop_signal=server.stop_signal, stop_wait_s=20)
            for server in self.servers
        ]
        if self.simulated:
            found.append(Program(SIMULATOR, [sys.executable, "-m", "xendit_sim"], self._simulator(), signal.SIGTERM, 5))
        return found + [
            Program(service, [sys.executable, "-m", service, "serve"], self.environment(service))
            for service in SERVICES
        ]

    def _simulator(self) -> dict[str, str]:
        layout = self._layout
        data = layout.home / "data" / SIMULATOR
        data.mkdir(parents=True, exist_ok=True)
        given = {name: value for name, value in self._given.items() if name.startswith("XENDIT_")}
        return {
            **given,
            "XENDIT_SIM_PORT": str(layout.port(SIMULATOR)),
            "XENDIT_SIM_CALLBACK_URL": f"{layout.url('paymentfc')}/v1/payments/xendit/webhook",
            "XENDIT_SIM_DATA": str(data / "invoices.sqlite"),
            "XENDIT_SIM_PUBLIC_URL": layout.url(SIMULATOR),
            "PYTHONUNBUFFERED": "1",
        }
