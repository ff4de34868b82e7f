"""promtool is the one that is installed, or Debian's package, and what is missing is named."""

import subprocess
from pathlib import Path

import pytest

from servers import prometheus
from servers.base import Missing


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache and no program but those that a test puts into this folder."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return programs


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_the_program_that_the_tests_use_checks_rules(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: one, rules: [{alert: Down, expr: up == 0}]}]\n")
    subprocess.run(
        [prometheus.program("promtool"), "check", "rules", rules], check=True, capture_output=True, timeout=60
    )


def test_installed_programs_are_taken(machine: Path) -> None:
    for name in prometheus.PROGRAMS:
        script(machine / name, "echo 'promtool, version 2.53.1 (branch: HEAD)'")
    assert prometheus.program("promtool") == machine / "promtool"


def test_installed_programs_that_are_too_old_are_not(machine: Path) -> None:
    for name in prometheus.PROGRAMS:
        script(machine / name, "echo 'promtool, version 2.31.2 (branch: debian)'")
    with pytest.raises(Missing, match=r"apt-get is not installed.*install Prometheus 2\.42 or newer"):
        prometheus.program("promtool")


def test_a_package_that_cannot_be_had_leaves_apt_s_own_words(machine: Path) -> None:
    script(machine / "apt-get", 'echo "E: Unable to locate package prometheus" >&2; exit 100')
    script(machine / "dpkg-deb", "exit 0")
    with pytest.raises(Missing, match=r"E: Unable to locate package prometheus"):
        prometheus.program("promtool")


def test_a_machine_without_lists_of_packages_gets_them_for_this_download_only(machine: Path) -> None:
    """The first download fails, as in a container image; the second one uses lists in a folder of its own."""
    log = machine / "log"
    script(
        machine / "apt-get",
        f'echo "$*" >>{log}; case "$*" in *Dir::State::Lists*) : >prometheus_1.deb;; *) exit 100;; esac',
    )
    tool = "printf '#!/bin/sh\\necho version 2.42.0\\n'"
    script(machine / "dpkg-deb", f'mkdir -p "$3/usr/bin" && cd "$3/usr/bin" && {tool} >promtool && chmod 755 promtool')
    for name in ("mkdir", "chmod"):
        (machine / name).symlink_to(f"/bin/{name}")
    assert prometheus.program("promtool").exists()
    assert [line.split()[-1] for line in log.read_text().splitlines()] == ["prometheus", "update", "prometheus"]
