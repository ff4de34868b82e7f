"""The commands as a person types them: what they say, where they say it, and how they exit."""

import os
import subprocess
import sys
from collections.abc import Callable
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from fc.stack.accounts import ACCOUNTS
from fc.stack.layout import MAX_OFFSET, Layout

from .conftest import Ended, Script, clean_environment

Fc = Callable[[str], Ended]
Asked = Callable[[], list[str]]

COMMANDS = ("up", "down", "status", "logs", "doctor", "seed", "topics", "demo")
PARTS = ("postgres", "redis", "kafka", "mongo", "xendit", "userfc", "productfc", "orderfc", "paymentfc", "console")


def write_log(layout: Layout, name: str, text: str) -> None:
    layout.log(name).parent.mkdir(parents=True, exist_ok=True)
    layout.log(name).write_text(text, encoding="utf-8")


def test_without_a_command_the_commands_are_listed(fc: Fc) -> None:
    said = fc("")
    for command in COMMANDS:
        assert f" {command} " in said.out + said.err


@pytest.mark.parametrize("line", ["fly", "logs --lines -1", "logs --lines many", "down --wipe=maybe", "status now"])
def test_a_line_that_is_no_command_exits_with_2(fc: Fc, line: str) -> None:
    said = fc(line)
    assert said.code == 2
    assert "Error" in said.err
    assert not said.out


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_offset_is_refused_by_every_command_in_one_line(
    fc: Fc, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("FC_PORT_OFFSET", "[bold]much[/]")
    said = fc(command)
    assert said.code == 1
    assert said.err == (f"fc: FC_PORT_OFFSET must be a whole number from 0 to {MAX_OFFSET}, got '[bold]much[/]'\n")
    assert not said.out


def test_an_unknown_part_is_refused_with_the_parts_that_there_are_on_one_line(fc: Fc) -> None:
    said = fc("logs orderfc nobody nothing")
    assert said.code == 1
    assert said.err == f"fc: no part is named nobody, nothing; there are {', '.join(PARTS)}\n"
    assert not said.out


def test_the_installed_command_writes_its_refusal_on_one_line_of_stderr_however_long(tmp_path: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "fc", "logs", "nobody"],
        env={**clean_environment(), "FC_HOME": str(tmp_path), "FC_NATIVE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("fc: no part is named nobody")
    assert done.stderr.count("\n") == 1
    assert len(done.stderr) > 100
    assert not done.stdout


def test_logs_shows_the_last_lines_of_every_part_with_its_name(fc: Fc, layout: Layout) -> None:
    write_log(layout, "orderfc", "".join(f'{{"n":{number}}}\n' for number in range(50)))
    write_log(layout, "redis", "[/x] [red]ready[/red]\n")
    said = fc("logs -n 2")
    assert said.code == 0
    assert said.out.splitlines() == [
        "redis     | [/x] [red]ready[/red]",
        'orderfc   | {"n":48}',
        'orderfc   | {"n":49}',
    ]


def test_logs_shows_only_the_parts_that_are_named(fc: Fc, layout: Layout) -> None:
    write_log(layout, "orderfc", "one\n")
    write_log(layout, "redis", "two\n")
    assert fc("logs redis").out == "redis | two\n"


def test_logs_into_a_reader_that_goes_away_ends_without_a_complaint(layout: Layout) -> None:
    write_log(layout, "orderfc", "a line of the log\n" * 50_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "fc", "logs", "-n", "50000", "-f", "orderfc"],
        env={**clean_environment(), "FC_HOME": str(layout.home), "FC_NATIVE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "orderfc | a line of the log\n"
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait(30)


def test_status_of_a_stack_that_does_not_run_lists_all_parts_as_stopped_and_exits_with_1(
    fc: Fc, layout: Layout
) -> None:
    said = fc("status")
    assert said.code == 1
    rows = {words[0]: words[1:] for line in said.out.splitlines() if len(words := line.split()) == 3}
    assert rows == {name: ["stopped", str(layout.port(name))] for name in PARTS}
    assert str(layout.home) in said.out


def test_a_simulator_that_is_left_out_is_no_part(fc: Fc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XENDIT_BASE_URL", "https://api.xendit.co")
    assert "xendit" not in fc("status").out
    assert fc("logs xendit").code == 1


def test_down_where_nothing_runs_says_so(fc: Fc) -> None:
    said = fc("down")
    assert (said.code, said.out) == (0, "Nothing was running.\n")


@pytest.mark.parametrize("command", ["down", "up"])
def test_a_command_beside_another_is_refused_with_its_process(fc: Fc, layout: Layout, command: str) -> None:
    layout.home.mkdir()
    with (layout.home / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        lock.write("4711")
        lock.flush()
        said = fc(command)
    assert said.code == 1
    assert said.err == f"fc: another fc command works on {layout.home} (process 4711)\n"


def test_seed_and_topics_without_a_stack_say_what_does_not_answer(fc: Fc, layout: Layout) -> None:
    said = fc("seed")
    assert said.code == 1
    assert said.err == f"fc: {layout.url('userfc')}/v1/register does not answer: is the stack up?\n"
    said = fc("topics")
    assert said.code == 1
    assert said.err == "fc: the broker does not answer: is the stack up?\n"


def test_doctor_exits_with_1_only_when_something_is_missing(fc: Fc, path: Path, script: Script) -> None:
    said = fc("doctor")
    assert said.code == 1
    assert "✗  Maven" in said.out
    script("java", "echo 'openjdk version \"21\"' >&2")
    for name in ("javac", "mvn", "redis-server", "initdb"):
        script(name)
    said = fc("doctor")
    assert said.code == 0
    assert "✗" not in said.out


def test_up_names_what_is_missing_and_starts_nothing(fc: Fc, path: Path, layout: Layout) -> None:
    said = fc("up")
    assert said.code == 1
    assert "This machine lacks what the local stack needs:" in said.err
    assert "\n  Maven: not installed" in said.err
    assert not (layout.home / "run").exists()


# With a Docker engine


@pytest.fixture
def asked(fc: Fc, script: Script, path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """An engine that answers; gives what it has been asked to do since. Its one container is there after that."""
    monkeypatch.setenv("FC_NATIVE", "")
    monkeypatch.setenv("FC_PORT_OFFSET", "")
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}/usr/bin:/bin")
    # Commands set them for compose.
    monkeypatch.setenv("COMPOSE_PROFILES", "")
    monkeypatch.setenv("OTLP_HOST", "")
    file = path / "asked"
    script(
        "docker",
        'case "$*" in',
        "version*) echo 29.1.0 ;;",
        """"compose config"*) echo '{"name": "shop", "services": {"orderfc": {"restart": "always"}}}' ;;""",
        f"ps*) [ ! -e {file} ] || printf 'orderfc\\t1a\\trunning\\tUp 1 second (healthy)\\t\\n' ;;",
        f'*) echo "$@" >> {file} ;;',
        "esac",
    )
    return lambda: file.read_text(encoding="utf-8").splitlines() if file.exists() else []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("up --observe", "compose up --build --detach --wait --wait-timeout 900"),
        ("up", "compose up --build --detach --wait --wait-timeout 900"),
        ("down", "compose down"),
        ("down --wipe", "compose down --volumes"),
        ("logs", "compose logs --tail 20"),
        ("logs -n 5 -f orderfc redis", "compose logs --tail 5 --follow orderfc redis"),
    ],
)
def test_where_an_engine_answers_the_same_commands_drive_compose(
    fc: Fc, asked: Asked, line: str, expected: str
) -> None:
    assert fc(line).code == 0
    assert asked() == [expected]


def test_up_shows_every_address_and_account(fc: Fc, asked: Asked) -> None:
    said = fc("up").out
    assert "The stack is up, all four services are ready" in said
    for port in (28080, 28081, 28082, 28083):
        assert f"http://localhost:{port}/docs" in said
    for email, password in ACCOUNTS.values():
        assert f"{email} / {password}" in said


def test_a_password_of_the_administrator_that_somebody_chose_is_not_shown(
    fc: Fc, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "[/]chosen-password")
    said = fc("up")
    assert said.code == 0
    assert "admin@example.com / the ADMIN_PASSWORD that is set" in said.out
    assert "chosen-password" not in said.out + said.err


def test_a_compose_that_fails_fails_the_command(fc: Fc, asked: Asked, script: Script) -> None:
    script("docker", '[ "$1" = version ] && echo 29.1.0 || exit 4')
    said = fc("down")
    assert said.code == 1
    assert said.err == "fc: docker compose down failed (exit code 4)\n"
    assert not said.out


def test_an_offset_is_refused_where_an_engine_answers(fc: Fc, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_PORT_OFFSET", "1000")
    said = fc("up")
    assert said.code == 1
    assert "FC_NATIVE=1" in said.err
    assert asked() == []
