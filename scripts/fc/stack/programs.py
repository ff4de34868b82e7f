"""The programs of a stack: servers, simulator, the four services, the console, each with command and environment."""

import io
import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from chassis.config.settings import ProcessSettings, ServiceSettings
from fc.stack import brokers, observe
from fc.stack.accounts import ADMIN
from fc.stack.clock import StackClock
from fc.stack.configuration import Program
from fc.stack.errors import StackError
from fc.stack.layout import CONSOLE, OBSERVERS, PORTS, ROOT, SERVICES, SIMULATOR, Layout
from servers.base import Server
from servers.mongo import Mongo
from servers.postgres import PASSWORD as DATABASE_PASSWORD
from servers.postgres import Postgres, app_role
from servers.redis import PASSWORD as REDIS_PASSWORD
from servers.redis import Redis

HOST = "localhost"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
BIND_ADDRESSES = ("127.0.0.1", "0.0.0.0")
DEFAULTS = {"ENVIRONMENT": "development", **ADMIN}


def settings_class(service: str) -> type[ServiceSettings]:
    settings: type[ServiceSettings] = import_module(f"{service}.config").Settings
    return settings


def process_class(name: str) -> type[ProcessSettings]:
    """Return the settings class of a service or of the console."""
    settings: type[ProcessSettings] = import_module(f"{name}.config").Settings
    return settings


def setting_names(service: str) -> set[str]:
    """Return the environment variables that a service or the console reads, aliases included."""
    names = set()
    for name, field in process_class(service).model_fields.items():
        extra = field.json_schema_extra
        aliases = extra.get("aliases", []) if isinstance(extra, dict) else []
        names |= {name.upper(), *(str(alias).upper() for alias in (aliases if isinstance(aliases, list) else []))}
    return names


def developer_settings() -> dict[str, str]:
    """Return the settings of the process's environment, which win over the checkout's `.env`. Raises StackError."""
    file = {name: value for name, value in dotenv_values(stream=io.StringIO(_dotenv(ROOT / ".env"))).items() if value}
    return {**file, **{name: value for name, value in os.environ.items() if value}}


def _dotenv(path: Path) -> str:
    """Return the text of a `.env`, "" without one. Raises StackError for a line that would be left out in silence."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise StackError(f"{path} can't be read: {error}") from None
    wrong = [str(binding.original.line) for binding in parse_stream(io.StringIO(text)) if binding.error]
    if wrong:
        raise StackError(f"{path}: a line should be NAME=value, with each quote closed; see line {', '.join(wrong)}")
    return text


def refuse_bind_address(settings: Mapping[str, str]) -> None:
    """Raise StackError for a BIND_ADDRESS on which this machine could not reach the stack as localhost."""
    address = settings.get("BIND_ADDRESS")
    if address not in (None, *BIND_ADDRESSES):
        raise StackError(f"BIND_ADDRESS must be {' or '.join(BIND_ADDRESSES)}, got {address!r}")


class Programs:
    """The programs of one stack.

    `overrides` are settings of all services; only the addresses that the stack sets win over them. `settings` are the
    developer's, read from the environment and `.env` when None. `reach` maps a part to the port at which services reach
    it, where that is not the part's own port: a test has put a proxy in front of it. `console` adds the console.
    """

    def __init__(
        self,
        layout: Layout,
        overrides: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        reach: Mapping[str, int] | None = None,
        *,
        console: bool = False,
    ) -> None:
        self._layout = layout
        self.deployed = (*SERVICES, CONSOLE) if console else SERVICES
        self._reach = {name: layout.port(name) for name in PORTS} | dict(reach or {})
        self._settings = {**DEFAULTS, **(developer_settings() if settings is None else settings), **(overrides or {})}
        home = layout.home / "data"
        self.postgres = Postgres(home / Postgres.name, layout.port(Postgres.name))
        self.clock = StackClock(layout, self.postgres)
        self.brokers = brokers.of(layout)
        self.servers: list[Server] = [
            self.postgres,
            Redis(home / Redis.name, layout.port(Redis.name)),
            *self.brokers,
            Mongo(home / Mongo.name, layout.port(Mongo.name)),
        ]

    @property
    def observers(self) -> list[Server]:
        """The servers that show what the stack does; none unless it is observed."""
        return observe.servers(self._layout) if observe.wanted(self._layout) else []

    @property
    def simulated(self) -> bool:
        """Whether the simulator stands in for Xendit: it does unless XENDIT_BASE_URL names another address."""
        base_url = self._settings.get("XENDIT_BASE_URL")
        return not base_url or base_url == self._layout.url(SIMULATOR)

    @property
    def in_production(self) -> bool:
        """Whether the services run as in production, where no clock can be moved."""
        return self._settings["ENVIRONMENT"] == "production"

    @property
    def _bind_address(self) -> str | None:
        """The address of services and simulator where it is set; the servers, whose passwords are known, stay local."""
        refuse_bind_address(self._settings)
        return self._settings.get("BIND_ADDRESS")

    def names(self) -> list[str]:
        """Return the names of all programs: servers, simulator, services, console, observers."""
        simulator = [SIMULATOR] if self.simulated else []
        return [
            *(server.name for server in self.servers),
            *simulator,
            *self.deployed,
            *(each.name for each in self.observers),
        ]

    def ports(self) -> set[str]:
        """Return the names of the ports that the programs listen on."""
        absent = {*brokers.NAMES[len(self.brokers) :], *({CONSOLE} - set(self.deployed))}
        names = {name for name in PORTS if name.removesuffix("_controller") not in absent}
        names |= set(OBSERVERS) if self.observers else set()
        return names if self.simulated else names - {SIMULATOR}

    def base_environment(self) -> dict[str, str]:
        """Return the environment of supervisord: the process's own without the variables that a service would read.

        A proxy that it names is for other machines.
        """
        settings = set().union({"CONFIG_FILE"}, *(setting_names(service) for service in self.deployed))
        # The services read lower-case names too.
        own = {name: value for name, value in os.environ.items() if name.upper() not in settings}
        unproxied = ",".join(filter(None, (own.get("no_proxy") or own.get("NO_PROXY"), *LOOPBACK)))
        return {**own, "NO_PROXY": unproxied, "no_proxy": unproxied}

    def environment(self, service: str) -> dict[str, str]:
        """Return the settings of a service: the developer's that it reads, and the addresses that the stack decides."""
        names = setting_names(service)
        settings = {**self._settings, **self._addresses(service)}
        return {name: value for name, value in settings.items() if name in names} | {"PYTHONUNBUFFERED": "1"}

    def _addresses(self, service: str) -> dict[str, str]:
        reach = self._reach
        grpc = {"GRPC_PORT": str(self._layout.port("grpc"))} if service == "userfc" else {}
        return {
            **grpc,
            **({"HTTP_HOST": self._bind_address} if self._bind_address else {}),
            "HTTP_PORT": str(self._layout.port(service)),
            **({} if self.in_production else {"CLOCK_FILE": str(self.clock.path)}),
            "DB_HOST": HOST,
            "DB_PORT": str(reach["postgres"]),
            "DB_NAME": service,
            "DB_USER": app_role(service),
            "DB_PASSWORD": DATABASE_PASSWORD,
            "REDIS_HOST": HOST,
            "REDIS_PORT": str(reach["redis"]),
            "REDIS_PASSWORD": REDIS_PASSWORD,
            "KAFKA_BROKER": ",".join(f"{HOST}:{reach[broker.name]}" for broker in self.brokers),
            **({"KAFKA_REPLICATION": str(len(self.brokers))} if len(self.brokers) > 1 else {}),
            "MONGO_URI": f"mongodb://{HOST}:{reach['mongo']}",
            "USER_SERVICE_ADDR": f"{HOST}:{reach['grpc']}",
            **{f"{name.removesuffix('fc').upper()}_HOST": f"http://{HOST}:{reach[name]}" for name in SERVICES},
            "XENDIT_BASE_URL": self._settings.get("XENDIT_BASE_URL") or f"http://{HOST}:{reach[SIMULATOR]}",
            **(self._console_sources() if service == CONSOLE else self._spans()),
        }

    def _console_sources(self) -> dict[str, str]:
        """Return where the console finds log lines and the simulator. Its own spans it would send to itself."""
        sources = {"LOGS_DIR": str(self._layout.home / "logs"), "SIMULATOR_URL": self._layout.url(SIMULATOR)}
        return sources | ({"OTEL_TRACES_RATIO": "0"} if observe.traced(self._layout) else {})

    def _spans(self) -> dict[str, str]:
        """Return where spans go, when the console is to show them and no other place is configured."""
        own = self._settings.keys() & {"OTEL_EXPORTER_OTLP_ENDPOINT", "JAEGER_ENDPOINT"}
        if own or CONSOLE not in self.deployed or not observe.traced(self._layout):
            return {}
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self._layout.url(CONSOLE)}

    def all(self) -> list[Program]:
        """Return every program in the order of starting."""
        servers = [
            Program(server.name, server.command(), server.environment, stop_signal=server.stop_signal, stop_wait_s=20)
            for server in (*self.servers, *self.observers)
        ]
        services = [
            Program(service, [sys.executable, "-m", service, "serve"], self.environment(service))
            for service in self.deployed
        ]
        return [*servers, *([self._simulator()] if self.simulated else []), *services]

    def _simulator(self) -> Program:
        layout = self._layout
        data = layout.home / "data" / SIMULATOR
        data.mkdir(parents=True, exist_ok=True)
        environment = {
            **{name: value for name, value in self._settings.items() if name.startswith("XENDIT_")},
            **({"XENDIT_SIM_HOST": self._bind_address} if self._bind_address else {}),
            "XENDIT_SIM_PORT": str(layout.port(SIMULATOR)),
            "XENDIT_SIM_CALLBACK_URL": f"{layout.url('paymentfc')}/v1/payments/xendit/webhook",
            "XENDIT_SIM_CLOCK_FILE": str(self.clock.path),
            "XENDIT_SIM_DATA": str(data / "invoices.sqlite"),
            "XENDIT_SIM_PUBLIC_URL": layout.url(SIMULATOR),
            "PYTHONUNBUFFERED": "1",
        }
        return Program(SIMULATOR, [sys.executable, "-m", "xendit_sim"], environment, signal.SIGTERM, 5)
