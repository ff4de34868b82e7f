"""`make test` names the system packages that it lacks and installs none; `make tools` installs them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("chromium", "poppler-utils", "faketime")
LOAD = "wrk"
APT = """\
#!/bin/sh
echo "$*" >>"$APT_LOG"
"""


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment in which only make, a shell and a recording apt-get are installed, and the user is root."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "make", "awk"):
        (programs / name).symlink_to(shutil.which(name) or name)
    for name, text in {"apt-get": APT, "id": "#!/bin/sh\necho 0\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return {"PATH": str(programs), "APT_LOG": str(tmp_path / "apt.log")}


def make(target: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PATH", "MAKEFLAGS", "MAKELEVEL")}
    command = ["make", "--no-print-directory", target]
    return subprocess.run(
        command, cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, check=False, timeout=60
    )


def test_make_test_stops_before_any_check_names_what_is_missing_and_installs_nothing(bare: dict[str, str]) -> None:
    done = make("test", bare)
    assert done.returncode != 0
    assert done.stdout == (
        f"The tests need these system packages, which are not installed: {' '.join(NEEDED)}. "
        "Install them with: make tools\n"
    )
    assert not Path(bare["APT_LOG"]).exists()


def test_make_tools_installs_what_is_missing(bare: dict[str, str]) -> None:
    done = make("tools", bare)
    assert done.returncode == 0, done.stderr
    assert Path(bare["APT_LOG"]).read_text().splitlines() == [
        "update -qq",
        f"install -y -qq --no-install-recommends {' '.join(NEEDED)} {LOAD}",
    ]


def test_make_tools_installs_nothing_where_all_is_there_and_says_what_is_needed_without_root(
    bare: dict[str, str],
) -> None:
    programs = Path(bare["PATH"])
    (programs / "id").write_text("#!/bin/sh\necho 1000\n")
    refused = make("tools", bare)
    assert refused.returncode != 0
    assert f"Run as root: apt-get install {' '.join(NEEDED)} {LOAD}" in refused.stdout
    for name in ("chromium", "pdftotext", "faketime", "wrk"):
        (programs / name).symlink_to("/bin/true")
    assert make("tools", bare).stdout == "All tools of the tests and of make bench are installed.\n"
    assert not Path(bare["APT_LOG"]).exists()


def test_an_environment_whose_making_was_interrupted_is_completed(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements-dev.txt").touch()
    for package in ("chassis", "userfc", "productfc", "orderfc", "paymentfc", "console", "scripts"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "pyproject.toml").touch()
    (tmp_path / "console/package-lock.json").touch()
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to("/bin/true")
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nif [ "$1 $2" = "-m venv" ]; then ln -s /bin/true "$3/bin/pip"; fi\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "setup", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".venv" / ".installed").exists()


def test_continuous_integration_installs_the_tools_and_runs_the_tests() -> None:
    commands = [line for line in (ROOT / ".ci/run").read_text().splitlines() if "make" in line]
    assert commands == ["make tools", "exec make test"]
