"""Which settings reach which program: the environment over `.env`, addresses over both, and nothing by accident."""

import itertools
from pathlib import Path

import pytest

from fc.stack.accounts import ADMIN
from fc.stack.errors import StackError
from fc.stack.layout import DEPLOYED, SERVICES, SIMULATOR, Layout
from fc.stack.programs import Programs, developer_settings, setting_names

PAYMENT_ONLY = {"XENDIT_SECRET_API_KEY", "XENDIT_WEBHOOK_TOKEN", "XENDIT_BASE_URL", "MONGO_URI", "PAYMENT_MAX_TRIES"}


def dotenv(checkout: Path, *lines: str) -> None:
    (checkout / ".env").write_text("\n".join([*lines, ""]), encoding="utf-8")


def environments(programs: Programs) -> dict[str, dict[str, str]]:
    return {program.name: dict(program.environment) for program in programs.all()}


# What the developer says


def test_without_a_dotenv_nothing_but_the_environment_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    assert developer_settings()["LOG_LEVEL"] == "DEBUG"
    assert "JWT_SECRET" not in developer_settings()


def test_a_setting_in_dotenv_reaches_every_service_that_reads_it(checkout: Path, layout: Layout) -> None:
    dotenv(checkout, "# a comment", "LOG_LEVEL=DEBUG", 'CURRENCY="USD"', "export OUTBOX_MAX_TRIES=3")
    programs = Programs(layout)
    for service in SERVICES:
        told = programs.environment(service)
        assert (told["LOG_LEVEL"], told["CURRENCY"], told["OUTBOX_MAX_TRIES"]) == ("DEBUG", "USD", "3")


def test_the_environment_wins_over_dotenv_and_an_override_over_both(
    checkout: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotenv(checkout, "LOG_LEVEL=ERROR", "CURRENCY=EUR", "JWT_SECRET=from-dotenv")
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    monkeypatch.setenv("CURRENCY", "USD")
    told = Programs(layout, {"LOG_LEVEL": "DEBUG"}).environment("orderfc")
    assert (told["LOG_LEVEL"], told["CURRENCY"], told["JWT_SECRET"]) == ("DEBUG", "USD", "from-dotenv")


def test_an_empty_value_counts_as_not_given(checkout: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    dotenv(checkout, "LOG_LEVEL=ERROR", "CURRENCY=", "ADMIN_EMAIL=")
    monkeypatch.setenv("LOG_LEVEL", "")
    told = Programs(layout).environment("userfc")
    assert told["LOG_LEVEL"] == "ERROR"
    assert "CURRENCY" not in told
    assert told["ADMIN_EMAIL"] == ADMIN["ADMIN_EMAIL"]


def test_what_is_given_stands_for_environment_and_dotenv(
    checkout: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotenv(checkout, "XENDIT_BASE_URL=https://api.xendit.co", "LOG_LEVEL=ERROR")
    monkeypatch.setenv("CURRENCY", "USD")
    programs = Programs(layout, {"LOG_LEVEL": "DEBUG"}, settings={"JWT_SECRET": "given"})
    told = programs.environment("paymentfc")
    assert programs.simulated
    assert (told["LOG_LEVEL"], told["JWT_SECRET"], told.get("CURRENCY")) == ("DEBUG", "given", None)


# Addresses


@pytest.mark.parametrize("service", SERVICES)
def test_addresses_and_credentials_of_the_stacks_servers_win_over_everything(
    checkout: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    fixed = {
        "HTTP_PORT": str(layout.port(service)),
        "DB_HOST": "localhost",
        "DB_PORT": "6433",
        "DB_NAME": service,
        "DB_USER": f"{service}_app",
        "DB_PASSWORD": "admin",
        "REDIS_HOST": "localhost",
        "REDIS_PORT": "7379",
        "REDIS_PASSWORD": "admin",
        "KAFKA_BROKER": "localhost:30092",
        "USER_SERVICE_ADDR": "localhost:25051",
    }
    if service == "orderfc":
        fixed["PRODUCT_HOST"] = "http://localhost:29081"
    if service == "paymentfc":
        fixed["MONGO_URI"] = "mongodb://localhost:28017"
    dotenv(checkout, *(f"{name}=1111" for name in fixed))
    for name in fixed:
        monkeypatch.setenv(name, "2222")
    told = Programs(layout, dict.fromkeys(fixed, "3333")).environment(service)
    assert {name: told[name] for name in fixed} == fixed


def test_services_and_simulator_listen_where_bind_address_says_and_servers_stay_local(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIND_ADDRESS", "0.0.0.0")
    programs = {program.name: program for program in Programs(layout, console=True).all()}
    assert {name for name in programs if "0.0.0.0" in str(programs[name])} == {*DEPLOYED, "xendit"}
    monkeypatch.setenv("BIND_ADDRESS", "192.0.2.1")
    with pytest.raises(StackError, match="BIND_ADDRESS must be 127.0.0.1 or 0.0.0.0"):
        Programs(layout).environment("orderfc")


def test_only_userfc_serves_grpc(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name for name in SERVICES if "GRPC_PORT" in Programs(layout).environment(name)} == {"userfc"}
    monkeypatch.setenv("GRPC_PORT", "1234")
    assert Programs(layout).environment("userfc")["GRPC_PORT"] == "25051"


def test_each_service_opens_its_own_database_as_its_own_role(layout: Layout) -> None:
    told = [Programs(layout).environment(service) for service in SERVICES]
    assert [(item["DB_NAME"], item["DB_USER"]) for item in told] == [(name, f"{name}_app") for name in SERVICES]
    assert not [name for item in told for name in item if name.startswith("DB_MIGRATION_")]


# What reaches whom


def test_a_service_is_told_only_what_it_reads(checkout: Path, layout: Layout) -> None:
    everything = set().union(*(setting_names(service) for service in DEPLOYED))
    dotenv(checkout, *(f"{name}=x{number}" for number, name in enumerate(sorted(everything))), "UNRELATED=1")
    programs = Programs(layout, console=True)
    for service in DEPLOYED:
        told = set(programs.environment(service)) - {"PYTHONUNBUFFERED"}
        assert told == setting_names(service), service


@pytest.mark.parametrize(
    ("name", "readers"),
    [
        ("DISABLE_CREATE_INVOICE_DIRECTLY", {"paymentfc"}),
        ("XENDIT_SECRET_API_KEY", {"paymentfc"}),
        ("XENDIT_WEBHOOK_TOKEN", {"paymentfc"}),
        ("ADMIN_PASSWORD", {"userfc"}),
        ("PRODUCT_TIMEOUT_S", {"orderfc"}),
        ("JWT_SECRET", set(DEPLOYED)),
        ("JAEGER_ENDPOINT", set(DEPLOYED)),
    ],
)
def test_a_setting_reaches_its_readers_and_nobody_else(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, name: str, readers: set[str]
) -> None:
    monkeypatch.setenv(name, "told")
    programs = Programs(layout, console=True)
    services = {program: told for program, told in environments(programs).items() if program in DEPLOYED}
    assert {service for service, told in services.items() if told.get(name) == "told"} == readers
    assert name not in programs.base_environment()


def test_no_setting_reaches_a_program_through_the_supervisors_own_environment(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = set().union(*(setting_names(service) for service in DEPLOYED), {"CONFIG_FILE"})
    for name in names:
        monkeypatch.setenv(name, "x")
        # The services read their names whatever the letters.
        monkeypatch.setenv(name.lower(), "x")
    monkeypatch.setenv("MY_OWN", "stays")
    base = Programs(layout, console=True).base_environment()
    assert not names & {name.upper() for name in base}
    assert base["MY_OWN"] == "stays"
    assert "PATH" in base


def test_the_servers_are_told_no_setting_at_all(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "told")
    told = environments(Programs(layout))
    assert [set(told[name]) for name in ("postgres", "redis", "kafka", "mongo")] == [
        set(),
        set(),
        {"LC_ALL"},
        {"LC_ALL"},
    ]


# The simulator


def test_the_simulator_stands_in_for_xendit_by_default(layout: Layout) -> None:
    programs = Programs(layout)
    assert programs.simulated
    assert programs.environment("paymentfc")["XENDIT_BASE_URL"] == "http://localhost:29090"
    told = environments(programs)[SIMULATOR]
    assert told["XENDIT_SIM_PORT"] == "29090"
    assert told["XENDIT_SIM_CALLBACK_URL"] == "http://localhost:29083/v1/payments/xendit/webhook"
    assert Path(told["XENDIT_SIM_DATA"]).parent.is_dir()


def test_the_simulator_is_left_out_when_xendit_is_elsewhere(checkout: Path, layout: Layout) -> None:
    dotenv(checkout, "XENDIT_BASE_URL=https://api.xendit.co")
    programs = Programs(layout)
    assert not programs.simulated
    assert SIMULATOR not in environments(programs)
    assert programs.environment("paymentfc")["XENDIT_BASE_URL"] == "https://api.xendit.co"


def test_the_simulators_own_address_said_out_loud_is_the_simulator(checkout: Path, layout: Layout) -> None:
    dotenv(checkout, "XENDIT_BASE_URL=http://localhost:29090")
    assert Programs(layout).simulated


def test_the_simulator_and_paymentfc_are_given_the_same_keys(checkout: Path, layout: Layout) -> None:
    keys = {"XENDIT_SECRET_API_KEY": "xnd_development_mine", "XENDIT_WEBHOOK_TOKEN": "my-token"}
    dotenv(
        checkout, *(f"{name}={value}" for name, value in keys.items()), "XENDIT_SIM_RETRY_SCALE=1/60", "JWT_SECRET=mine"
    )
    told = environments(Programs(layout))
    assert {name: told[SIMULATOR][name] for name in keys} == {name: told["paymentfc"][name] for name in keys} == keys
    assert told[SIMULATOR]["XENDIT_SIM_RETRY_SCALE"] == "1/60"
    assert "JWT_SECRET" not in told[SIMULATOR]


# The whole


def test_a_stack_is_servers_simulator_services_and_console_in_the_order_of_starting(layout: Layout) -> None:
    names = [program.name for program in Programs(layout, console=True).all()]
    assert names == ["postgres", "redis", "kafka", "mongo", SIMULATOR, *DEPLOYED]


def test_services_are_run_by_the_command_of_their_image(layout: Layout) -> None:
    commands = {program.name: program.command[1:] for program in Programs(layout, console=True).all()}
    assert {name: commands[name] for name in DEPLOYED} == {name: ["-m", name, "serve"] for name in DEPLOYED}


def test_two_stacks_give_their_programs_no_common_port_or_folder(tmp_path: Path) -> None:
    one, other = (
        environments(Programs(Layout(tmp_path / name, offset))) for name, offset in (("one", 0), ("other", 1000))
    )
    located = ("_PORT", "_ADDR", "_URL", "_BROKER", "_URI", "_DATA", "PRODUCT_HOST")
    for program, told in one.items():
        shared = {name for name, value in told.items() if other[program][name] == value}
        assert not {name for name in shared if name.endswith(located)}


def test_the_names_of_settings_include_their_aliases() -> None:
    assert {"OTEL_EXPORTER_OTLP_ENDPOINT", "JAEGER_ENDPOINT", "DB_PASSWORD"} <= setting_names("orderfc")
    for one, other in itertools.permutations(SERVICES, 2):
        assert setting_names(one) != setting_names(other)
    assert setting_names("paymentfc") >= PAYMENT_ONLY
    assert not PAYMENT_ONLY & setting_names("orderfc")
