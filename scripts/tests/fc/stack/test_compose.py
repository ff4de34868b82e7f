"""What `docker compose` is asked to do, and what is shown of what becomes of it."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from fc.stack.compose import BROKERS_FILE, Compose
from fc.stack.errors import StackError
from fc.stack.layout import ROOT

from ..conftest import Script

RECORD = 'echo "$@" >> "$(dirname "$0")/asked"'
CONFIG = (
    '{"name": "shop", "services": {"redis": {"restart": "unless-stopped"}, "orderfc": {"restart": "unless-stopped"}, '
    '"orderfc-migrate": {"restart": "no"}}}'
)


def asked(path: Path) -> list[str]:
    return (path / "asked").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def said() -> io.StringIO:
    """What the commands print."""
    return io.StringIO()


@pytest.fixture
def platform(said: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Compose:
    # Commands set them for compose.
    for name in ("COMPOSE_PROFILES", "OTLP_HOST"):
        monkeypatch.setenv(name, "")
    return Compose(Console(file=said, width=200))


@pytest.fixture
def docker(script: Script, monkeypatch: pytest.MonkeyPatch, path: Path) -> Path:
    """A docker that notes what it is asked, and answers as an engine does."""
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    script("docker", RECORD, 'if [ "$1" = version ]; then echo 29.1.0; fi')
    return path


def test_the_volumes_go_only_when_they_are_wiped(docker: Path, platform: Compose) -> None:
    platform.down(wipe=False)
    platform.down(wipe=True)
    assert asked(docker) == ["compose down", "compose down --volumes"]


def test_topics_are_reached_at_the_published_ports_and_planned_as_the_dotenv_says(checkout: Path) -> None:
    told = Compose(Console()).kafka()
    assert (told.kafka_broker, told.kafka_partitions, told.kafka_replication) == ("localhost:29092", 6, 1)
    (checkout / ".env").write_text(f"KAFKA_PARTITIONS=12\nCOMPOSE_FILE=docker-compose.yml:{BROKERS_FILE}\n")
    told = Compose(Console()).kafka()
    assert told.kafka_broker == "localhost:29092,localhost:29094,localhost:29096"
    assert (told.kafka_partitions, told.kafka_replication) == (12, 3)


def test_the_number_of_brokers_is_said_in_the_dotenv_for_docker_compose_too(checkout: Path) -> None:
    Compose(Console(), 1)
    with pytest.raises(StackError, match="COMPOSE_FILE=docker-compose.yml:deploy/compose.brokers.yml"):
        Compose(Console(), 3)
    (checkout / ".env").write_text(f"COMPOSE_FILE=docker-compose.yml:{BROKERS_FILE}\n")
    Compose(Console(), 3)
    with pytest.raises(StackError, match="one without it"):
        Compose(Console(), 1)
    with pytest.raises(StackError, match="--brokers takes 1 or 3, got 2"):
        Compose(Console(), 2)


@pytest.mark.parametrize(
    ("command", "profiles"),
    [("up", "mine "), ("observed", "mine,observe collector"), ("down", "mine,observe,tools ")],
)
def test_up_adds_the_parts_that_observe_and_down_stops_those_of_every_profile(
    script: Script, path: Path, monkeypatch: pytest.MonkeyPatch, platform: Compose, command: str, profiles: str
) -> None:
    engine_with(script, path, monkeypatch, rows(**ALL))
    docker = path / "docker"
    docker.rename(path / "engine")
    script("docker", 'echo "$COMPOSE_PROFILES $OTLP_HOST" > "$(dirname "$0")/with"; exec "$(dirname "$0")/engine" "$@"')
    monkeypatch.setenv("COMPOSE_PROFILES", "mine")
    if command == "down":
        with pytest.raises(StackError):
            platform.down(wipe=False)
    else:
        platform.up(observed=command == "observed")
    assert (path / "with").read_text(encoding="utf-8") == f"{profiles}\n"
    assert ("grafana" in platform.observed()) == (command == "observed")


def test_compose_is_run_in_the_checkout(
    script: Script, path: Path, monkeypatch: pytest.MonkeyPatch, platform: Compose
) -> None:
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    script("docker", 'pwd > "$(dirname "$0")/asked"')
    platform.down(wipe=False)
    assert asked(path) == [str(ROOT)]


def engine_with(script: Script, path: Path, monkeypatch: pytest.MonkeyPatch, *states: str, up: str = "exit 0") -> None:
    """Put an engine on the path that shows each of `states` (lines of `docker ps`) once, and the last one for ever."""
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    for number, state in enumerate(states):
        (path / f"state-{number}").write_text(state, encoding="utf-8")
    script(
        "docker",
        'cd "$(dirname "$0")"',
        'case "$*" in',
        f"\"compose config --format json\") echo '{CONFIG}' ;;",
        f'"compose up"*) echo "$*" > asked; {up} ;;',
        'ps*) file=$(ls state-* | head -n 1); cat "$file"; [ "$(ls state-* | wc -l)" = 1 ] || rm "$file" ;;',
        'logs*) echo "the log of $4"; echo "and its errors" >&2 ;;',
        "*) exit 1 ;;",
        "esac",
    )


def rows(**states: tuple[str, str]) -> str:
    return "".join(
        f"{name}\tid-{name}\t{state}\t{status}\t127.0.0.1:6379->6379/tcp\n" for name, (state, status) in states.items()
    )


HEALTHY = ("running", "Up 3 seconds (healthy)")
STARTING = ("running", "Up 1 second (health: starting)")
DONE = ("exited", "Exited (0) 2 seconds ago")
ALL = {"redis": HEALTHY, "orderfc": HEALTHY, "orderfc-migrate": DONE}


def test_up_waits_until_all_is_healthy_and_has_a_line_with_seconds_for_each_container(
    script: Script, path: Path, monkeypatch: pytest.MonkeyPatch, platform: Compose, said: io.StringIO
) -> None:
    first = rows(redis=STARTING, orderfc=("created", "Created"))
    second = rows(redis=HEALTHY, orderfc=STARTING, **{"orderfc-migrate": ("running", "Up 1 second")})
    engine_with(script, path, monkeypatch, "", first, second, rows(**ALL), up="sleep 2")
    assert platform.up() is True
    assert asked(path) == ["compose up --build --detach --wait --wait-timeout 900"]
    lines = [line.split() for line in said.getvalue().splitlines()]
    assert [words[1:-2] for words in lines] == [
        ["images", "built"],
        ["redis", "healthy"],
        ["orderfc", "healthy"],
        ["orderfc-migrate", "done"],
    ]
    assert all(words[0] == "✓" and float(words[-2]) >= 0 and words[-1] == "s" for words in lines)


def test_up_again_says_that_all_runs_already(
    script: Script, path: Path, monkeypatch: pytest.MonkeyPatch, platform: Compose, said: io.StringIO
) -> None:
    engine_with(script, path, monkeypatch, rows(**ALL))
    assert platform.up() is False
    assert said.getvalue() == "The stack is already running, all four services are ready.\n"


def test_a_start_that_fails_shows_the_log_of_the_container_that_failed_and_of_no_other(
    script: Script, path: Path, monkeypatch: pytest.MonkeyPatch, platform: Compose
) -> None:
    failed = {"redis": STARTING, "orderfc": ("created", "Created"), "orderfc-migrate": ("exited", "Exited (3) now")}
    engine_with(script, path, monkeypatch, "", rows(**failed), up="echo dependency failed; exit 17")
    with pytest.raises(StackError) as refused:
        platform.up()
    assert str(refused.value).splitlines() == [
        "orderfc-migrate: Exited (3) now. The end of its log:",
        "the log of id-orderfc-migrate",
        "and its errors",
        "dependency failed",
        "docker compose up failed (exit code 17)",
    ]


def test_up_refuses_an_address_on_which_localhost_would_not_reach_the_containers(
    docker: Path, monkeypatch: pytest.MonkeyPatch, platform: Compose
) -> None:
    monkeypatch.setenv("BIND_ADDRESS", "192.0.2.1")
    with pytest.raises(StackError, match=r"BIND_ADDRESS must be 127.0.0.1 or 0.0.0.0, got '192.0.2.1'"):
        platform.up()
    assert not (docker / "asked").exists()


@pytest.mark.parametrize(
    ("changed", "all_run"),
    [
        ({}, True),
        ({"orderfc-migrate": ("exited", "Exited (1) 2 seconds ago")}, True),
        ({"redis": ("exited", "Exited (137) now")}, False),
        ({"redis": ("running", "Up 2 hours (unhealthy)")}, False),
        ({"redis": STARTING}, False),
        ({"redis": ("restarting", "Restarting (1) now")}, False),
    ],
)
def test_the_status_is_whether_all_but_the_jobs_are_healthy(
    script: Script,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    platform: Compose,
    changed: dict[str, tuple[str, str]],
    all_run: bool,
) -> None:
    engine_with(script, path, monkeypatch, rows(**ALL | changed))
    assert platform.status() is all_run


def test_the_status_has_a_row_for_what_runs_and_for_what_does_not(
    script: Script, path: Path, monkeypatch: pytest.MonkeyPatch, platform: Compose, said: io.StringIO
) -> None:
    engine_with(script, path, monkeypatch, rows(redis=HEALTHY))
    assert platform.status() is False
    _, *lines = [line.split() for line in said.getvalue().splitlines()]
    assert lines == [
        ["orderfc", "stopped"],
        ["orderfc-migrate", "stopped"],
        ["redis", "healthy", "Up", "3", "seconds", "(healthy)", "6379"],
    ]


def test_a_command_that_fails_is_named_with_its_exit_code(script: Script, platform: Compose) -> None:
    script("docker", "echo no such thing >&2; exit 17")
    with pytest.raises(StackError, match=r"^docker compose config failed \(exit code 17\) no such thing$"):
        platform.up()
    with pytest.raises(StackError, match=r"^docker compose down failed \(exit code 17\)$"):
        platform.down(wipe=False)


def test_an_offset_is_refused_because_compose_has_fixed_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_PORT_OFFSET", "0")
    Compose(Console())
    monkeypatch.setenv("FC_PORT_OFFSET", "1000")
    with pytest.raises(StackError, match="set FC_NATIVE=1 too"):
        Compose(Console())


def test_the_administrator_is_the_one_that_the_dotenv_names(checkout: Path, platform: Compose) -> None:
    assert platform.accounts()["admin"] == ("admin@example.com", "admin12345")
    (checkout / ".env").write_text("ADMIN_EMAIL=boss@example.com\nADMIN_PASSWORD=secret-of-the-boss\n")
    assert platform.accounts()["admin"] == ("boss@example.com", "secret-of-the-boss")
    assert set(platform.accounts()) == {"admin", "alice", "bob"}
