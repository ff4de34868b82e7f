"""Whether a Docker engine answers."""

import time
from pathlib import Path

import pytest

from fc.stack import compose

from ..conftest import Script


def test_there_is_no_engine_where_docker_is_not_installed(path: Path) -> None:
    assert compose.engine() is None


def test_an_engine_that_answers_is_known_by_its_version_and_fc_native_rules_it_out_without_asking_it(
    script: Script, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    script("docker", 'echo "$@" >> "$(dirname "$0")/asked"', "echo 29.1.0")
    assert compose.engine() == "29.1.0"
    (path / "asked").unlink()
    monkeypatch.setenv("FC_NATIVE", "1")
    assert compose.engine() is None
    assert not (path / "asked").exists()


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["echo 'Cannot connect to the Docker daemon' >&2", "exit 1"], id="no daemon"),
        pytest.param(["echo 29.1.0", "exit 1"], id="failed after its answer"),
        pytest.param(["exit 0"], id="empty answer"),
    ],
)
def test_an_engine_that_fails_is_not_used(script: Script, lines: list[str]) -> None:
    script("docker", *lines)
    assert compose.engine() is None


def test_a_docker_that_can_not_be_executed_is_no_engine(script: Script) -> None:
    script("docker", shebang="no program")
    assert compose.engine() is None


def test_an_engine_that_hangs_is_not_used_and_not_waited_for(
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
