"""Whether a Docker engine answers, and what `docker compose` is asked to do then."""

import time
from pathlib import Path

import pytest
import yaml

from fc.stack import compose
from fc.stack.compose import Compose
from fc.stack.errors import StackError
from fc.stack.layout import ROOT

from ..conftest import Script

RECORD = 'echo "$@" >> "$(dirname "$0")/asked"'


def asked(path: Path) -> list[str]:
    return (path / "asked").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def docker(script: Script, monkeypatch: pytest.MonkeyPatch, path: Path) -> Path:
    """A docker that notes what it is asked, and answers as an engine does."""
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    script("docker", RECORD, 'if [ "$1" = version ]; then echo 29.1.0; fi')
    return path


def test_there_is_no_engine_where_docker_is_not_installed(path: Path) -> None:
    assert compose.engine() is None


def test_an_engine_that_answers_is_known_by_its_version(docker: Path) -> None:
    assert compose.engine() == "29.1.0"


def test_fc_native_rules_an_engine_out_without_asking_it(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_NATIVE", "1")
    assert compose.engine() is None
    assert not (docker / "asked").exists()


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["echo 'Cannot connect to the Docker daemon' >&2", "exit 1"], id="no daemon"),
        pytest.param(["echo 29.1.0", "exit 1"], id="failed after its answer"),
        pytest.param(["exit 0"], id="empty answer"),
    ],
)
def test_an_engine_that_fails_is_none(script: Script, lines: list[str]) -> None:
    script("docker", *lines)
    assert compose.engine() is None


def test_a_docker_that_is_no_program_is_none(script: Script) -> None:
    script("docker", shebang="no program")
    assert compose.engine() is None


def test_an_engine_that_hangs_is_none_and_is_not_waited_for(
    script: Script, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    script("docker", 'echo $$ > "$(dirname "$0")/pid"', "exec sleep 600")
    monkeypatch.setattr(compose, "ENGINE_S", 1)
    began = time.monotonic()
    assert compose.engine() is None
    assert time.monotonic() - began < 300
    # It was started, and is gone.
    assert not Path("/proc", (path / "pid").read_text().strip()).exists()


def test_up_builds_and_waits_until_all_is_healthy(docker: Path) -> None:
    Compose().up()
    assert asked(docker) == ["compose up --build --detach --wait --wait-timeout 900"]


def test_the_volumes_go_only_when_they_are_wiped(docker: Path) -> None:
    Compose().down(wipe=False)
    Compose().down(wipe=True)
    assert asked(docker) == ["compose down", "compose down --volumes"]


def test_topics_are_made_by_every_job_of_the_compose_file_that_makes_some(docker: Path) -> None:
    Compose().make_topics()
    file = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    jobs = {name for name, service in file["services"].items() if service.get("command") == ["topics"]}
    assert jobs
    assert {line.removeprefix("compose run --rm ") for line in asked(docker)} == jobs


def test_compose_is_run_in_the_checkout(script: Script, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    script("docker", 'pwd > "$(dirname "$0")/asked"')
    Compose().status()
    assert asked(path) == [str(ROOT)]


@pytest.mark.parametrize(("running", "all_run"), [("orderfc redis", True), ("redis", False), ("", False)])
def test_the_status_is_whether_all_but_the_jobs_run(
    script: Script, path: Path, monkeypatch: pytest.MonkeyPatch, running: str, all_run: bool
) -> None:
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    script(
        "docker",
        'case "$*" in',
        '"compose config --services") printf "%s\\n" orderfc redis orderfc-migrate orderfc-topics ;;',
        f'"compose ps --services --status running") printf "%s\\n" {running} ;;',
        '"compose ps") ;;',
        "*) exit 1 ;;",
        "esac",
    )
    assert Compose().status() is all_run


def test_a_command_that_fails_is_named_with_its_exit_code(script: Script) -> None:
    script("docker", "exit 17")
    with pytest.raises(StackError, match=r"docker compose up failed \(exit code 17\)"):
        Compose().up()


def test_an_offset_is_refused_because_compose_has_fixed_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_PORT_OFFSET", "0")
    Compose()
    monkeypatch.setenv("FC_PORT_OFFSET", "1000")
    with pytest.raises(StackError, match="set FC_NATIVE=1 too"):
        Compose()


def test_the_administrator_is_the_one_that_the_dotenv_names(checkout: Path) -> None:
    assert Compose().accounts()["admin"] == ("admin@example.com", "admin12345")
    (checkout / ".env").write_text("ADMIN_EMAIL=boss@example.com\nADMIN_PASSWORD=secret-of-the-boss\n")
    assert Compose().accounts()["admin"] == ("boss@example.com", "secret-of-the-boss")
    assert set(Compose().accounts()) == {"admin", "alice", "bob"}
