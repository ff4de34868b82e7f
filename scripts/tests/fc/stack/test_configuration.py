"""supervisord's configuration, read as supervisord reads it, means what we meant, or is refused."""

import shlex
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from supervisor.options import ServerOptions

from fc.stack.configuration import Program, configuration
from fc.stack.errors import StackError
from fc.stack.layout import Layout


def parsed(layout: Layout, programs: list[Program]) -> Any:
    """Read the configuration as supervisord does."""
    for name in ("logs", "run"):
        (layout.home / name).mkdir(parents=True, exist_ok=True)
    path = layout.home / "run" / "supervisord.conf"
    path.write_text(configuration(layout, programs), encoding="utf-8")
    options = ServerOptions()
    options.realize(["-c", str(path)])
    return options


def programs_of(options: Any) -> dict[str, Any]:
    return {group.name: group.process_configs[0] for group in options.process_group_configs}


def test_what_ends_is_started_again_but_nothing_starts_by_itself(layout: Layout) -> None:
    program = Program("orderfc", ["run"], stop_signal=signal.SIGINT, stop_wait_s=7)
    found = programs_of(parsed(layout, [program]))["orderfc"]
    assert found.autostart is False
    assert found.autorestart.__name__ == "RestartUnconditionally"
    assert found.startretries >= 1_000_000
    assert (found.stopsignal, found.stopwaitsecs, found.killasgroup) == (signal.SIGINT, 7, True)


def test_logs_are_bounded_and_take_what_goes_to_stderr(layout: Layout) -> None:
    found = programs_of(parsed(layout, [Program("orderfc", ["run"])]))["orderfc"]
    assert found.redirect_stderr is True
    assert found.stdout_logfile == str(layout.log("orderfc"))
    assert 0 < found.stdout_logfile_maxbytes <= 50_000_000
    assert found.stdout_logfile_backups == 1


@pytest.mark.parametrize("name", ["plain", "with a space", "100%", "%(here)s", "it's", "Größe", "a;b#c", 'a"b'])
def test_the_folder_may_have_any_usual_name(tmp_path: Path, name: str) -> None:
    layout = Layout(tmp_path / name)
    options = parsed(layout, [Program("p", [str(layout.home / "bin"), "--data", str(layout.home)])])
    found = programs_of(options)["p"]
    assert shlex.split(found.command) == [str(layout.home / "bin"), "--data", str(layout.home)]
    assert found.stdout_logfile == str(layout.log("p"))
    assert options.server_configs[0]["file"] == str(layout.socket)
    assert options.server_configs[0]["chmod"] == 0o600
    assert options.logfile == str(layout.log("supervisord"))
    assert options.pidfile == str(layout.home / "run" / "supervisord.pid")


@pytest.mark.parametrize("name", ["a ;b", "a #b", "a\nb"])
def test_a_folder_whose_name_would_be_cut_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StackError, match="in a path"):
        configuration(Layout(tmp_path / name), [])


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example("a ;b")
@example("a\t#b")
@example("50%")
@example("%%(x)s")
@example("\\")
@example("it's")
@given(st.text(st.sampled_from("ab1%;#\"'\\ \t\n\r=,(){}$:/.é\x0b\x85\u2028"), max_size=8))
def test_a_value_arrives_as_it_is_or_is_refused(layout: Layout, value: str) -> None:
    program = Program("p", ["run", value], {"A": value, "B": "next"})
    try:
        options = parsed(layout, [program])
    except StackError:
        assert any(mark in value for mark in ("\"'\n\r;#"))
        return
    found = programs_of(options)["p"]
    assert found.environment == {"A": value, "B": "next"}
    assert shlex.split(found.command) == ["run", value]


@pytest.mark.parametrize("value", ['say "hi"', "it's", "two\nlines", "two\rlines", "a ;comment", "a #comment", "a\t;b"])
def test_a_value_that_the_format_can_not_hold_is_refused_by_its_name_and_not_shown(layout: Layout, value: str) -> None:
    with pytest.raises(StackError, match="^XENDIT_WEBHOOK_TOKEN can't be passed on") as refused:
        configuration(layout, [Program("paymentfc", ["run"], {"XENDIT_WEBHOOK_TOKEN": value})])
    assert value not in str(refused.value)
