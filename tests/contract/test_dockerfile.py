"""The images: what is wrong with a Dockerfile is found, and its steps, done here, give a service that runs."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from chassis.db import migrations
from fc.stack.layout import ROOT, SERVICES
from testkit import eventually, free_port
from tests.contract.dockerfile import copied, exec_form, ignored, steps, violations

DOCKERFILES = [ROOT / "deploy/Dockerfile", ROOT / "deploy/Dockerfile.simulator"]
DOCKERFILE = DOCKERFILES[0].read_text(encoding="utf-8")
IGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8")
LOCKS = sorted(ROOT.glob("*/requirements.txt")) + sorted((ROOT / "deploy").glob("*-requirements.txt"))

_LOCKED = re.compile(r"(?m)^([\w.-]+==[^\\\n]*?)\s*\\\n((?:\s+--hash=\S+(?:\s*\\)?\n?)+)")


def locked(file: Path) -> dict[str, frozenset[str]]:
    """Read a lock: each requirement with its marker -> its hashes."""
    found = _LOCKED.findall(file.read_text(encoding="utf-8"))
    return {" ".join(line.split()): frozenset(re.findall(r"sha256:\w+", hashes)) for line, hashes in found}


def image_python() -> str:
    """Give the version of Python in the images."""
    bases = [
        step.text for file in DOCKERFILES for step in steps(file.read_text(encoding="utf-8")) if step.name == "FROM"
    ]
    [found] = {base.split(":")[1].split("-")[0] for base in bases}
    return found


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels, built with the Dockerfile's own options."""
    [command] = [part for step in steps(DOCKERFILE) for part in step.text.split("&&") if "pip wheel" in part]
    options = [word for word in command.partition("pip wheel")[2].split() if word.startswith("--")]
    options.remove("--wheel-dir")
    folder = tmp_path_factory.mktemp("wheels")
    sources = [f"./{name}" for name in ("chassis", *SERVICES)]
    _run([sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), *sources], cwd=ROOT)
    return folder


@pytest.fixture(scope="session")
def site(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything in the wheels installed."""
    folder = tmp_path_factory.mktemp("site")
    files = [str(file) for file in wheels.glob("*.whl")]
    _run([sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(folder), *files])
    return folder


class Image:
    """The last stage of the Dockerfile for one service, as a folder of this machine."""

    def __init__(self, service: str, site: Path, folder: Path) -> None:
        self.service = service
        self._folder = folder
        for source, target in copied(DOCKERFILE, service).items():
            shutil.copytree(ROOT / source, folder / target, dirs_exist_ok=True)
        self._environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "SERVICE": service}
        last = {step.name: step.text for step in steps(DOCKERFILE)}
        self.entrypoint = exec_form(last["ENTRYPOINT"]) or []
        self.command = exec_form(last["CMD"]) or []
        self.check = exec_form(last["HEALTHCHECK"].partition("CMD ")[2]) or []

    def start(self, words: list[str], settings: dict[str, Any] | None = None) -> subprocess.Popen[str]:
        """Run words of the Dockerfile as a container would."""
        assert words[0] == "python"
        given = {name.upper(): str(value) for name, value in (settings or {}).items()}
        return subprocess.Popen(
            [sys.executable, *words[1:]],
            cwd=self._folder,
            env={**self._environment, **given},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, words: list[str], settings: dict[str, Any] | None = None) -> tuple[int, str]:
        """Run to the end, and give the exit code and the output."""
        process = self.start(words, settings)
        output, _ = process.communicate(timeout=90)
        return process.returncode, output


@pytest.fixture
def image(site: Path, tmp_path: Path) -> Callable[[str], Image]:
    """Make the image of a service."""
    return lambda service: Image(service, site, tmp_path / service)


def _run(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_a_dockerfile_pins_leaves_no_tool_behind_and_runs_python_itself_as_nobody_special(file: Path) -> None:
    assert violations(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        ("FROM python:3.13.16-slim-trixie AS", "FROM python:3-slim AS", "python:3-slim is not pinned"),
        (" --require-hashes --only-binary :all: -r requirements", " -r requirements", "not locked: pip --python"),
        ('ENTRYPOINT ["python", "-m", "service"]', "ENTRYPOINT python -m service", "ENTRYPOINT is not in exec form"),
        ('ENTRYPOINT ["python", "-m", "service"]', "", "there is no ENTRYPOINT"),
        ('CMD ["serve"]', "CMD serve", "CMD is not in exec form"),
        ('    CMD ["python", "-m", "healthy"]', "    CMD python -m healthy", "there is no HEALTHCHECK in exec form"),
        ("USER 10001:10001", "USER app", "it does not run as a numbered user other than root"),
        ("USER 10001:10001", "USER 0:0", "it does not run as a numbered user other than root"),
        ("RUN useradd", "RUN apt-get install -y gcc && useradd", "the last stage runs apt-get"),
        ("    PYTHONUNBUFFERED=1 \\\n", "", "its log is buffered"),
        ("WORKDIR /app\n", "", "there is no WORKDIR"),
        ("LABEL", "ENV", "there is no LABEL"),
    ],
)
def test_a_planted_violation_is_found(line: str, instead: str, says: str) -> None:
    assert line in DOCKERFILE
    assert any(one.startswith(says) for one in violations(DOCKERFILE.replace(line, instead)))


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_what_a_dockerfile_copies_exists_and_reaches_the_builder(file: Path) -> None:
    for step in steps(file.read_text(encoding="utf-8")):
        if step.name != "COPY" or step.text.startswith("--from"):
            continue
        for service in SERVICES:
            for source in step.text.replace("${SERVICE}", service).split()[:-1]:
                assert (ROOT / source).exists()
                assert not ignored(source, IGNORE)


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        ".venv/bin/python",
        ".local/data/kafka",
        "README.md",
        "deploy/vault/seed.sh",
        "scripts/fc/stack/local.py",
        "orderfc/tests/unit/test_model.py",
        "orderfc/orderfc/__pycache__/app.cpython-313.pyc",
        "orderfc/.env",
        "chassis/chassis.egg-info/PKG-INFO",
        "tests/e2e/test_saga.py",
    ],
)
def test_secrets_history_data_and_tests_do_not_reach_the_builder(path: str) -> None:
    assert ignored(path, IGNORE)


def test_a_file_that_is_let_through_is_noticed() -> None:
    assert not ignored("orderfc/orderfc/app.py", IGNORE)
    assert not ignored("orderfc/.env", IGNORE.replace("**/.env\n", ""))


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_lock_has_what_the_tests_ran_with_and_the_images_python_may_use(file: Path) -> None:
    here, tested = locked(file), locked(ROOT / "requirements-dev.txt")
    assert here
    assert [line for line in here if here[line] != tested.get(line)] == []
    assert "://" not in file.read_text(encoding="utf-8")
    python = image_python()
    machine = {"python_full_version": python, "python_version": ".".join(python.split(".")[:2])}
    for line in here:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(machine):
            assert SpecifierSet(_python_wanted(requirement)).contains(python), line


def _python_wanted(requirement: Requirement) -> str:
    """Give the Requires-Python of the very release, when it is installed here."""
    try:
        found = distribution(requirement.name)
    except PackageNotFoundError:
        return ""
    return (found.metadata["Requires-Python"] or "") if requirement.specifier.contains(found.version) else ""


def test_the_simulators_lock_has_what_its_sources_import() -> None:
    imported = set()
    for file in (ROOT / "scripts/xendit_sim").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.split(".")[0] for name in names}
    held = {Requirement(line).name for line in locked(ROOT / "deploy/simulator-requirements.txt")}
    assert imported - set(sys.stdlib_module_names) - {"xendit_sim"} <= held


@pytest.mark.parametrize("service", SERVICES)
def test_a_wheel_has_everything_of_its_package(service: str, wheels: Path) -> None:
    [wheel] = wheels.glob(f"{service}-*.whl")
    held = set(ZipFile(wheel).namelist())
    package = ROOT / service / service
    wanted = {str(file.relative_to(ROOT / service)) for file in package.rglob("*") if file.suffix in (".py", ".mako")}
    assert wanted
    assert wanted <= held
    assert any(re.fullmatch(rf"{service}/migrations/versions/\d+_\w+\.py", name) for name in held)


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_runs_its_own_service(service: str, image: Callable[[str], Image], site: Path) -> None:
    made = image(service)
    code, said = made.run([*made.entrypoint, "no-command"])
    assert code != 0
    assert said.startswith(f"usage: python -m {service} COMMAND")
    assert all(f"\n  {command} " in said for command in ("serve", "api", "worker", "migrate", "topics"))
    _, where = made.run(["python", "-c", f"import {service}, chassis; print({service}.__file__, chassis.__file__)"])
    assert all(path.startswith(str(site)) for path in where.split())


@pytest.mark.parametrize("service", SERVICES)
async def test_an_image_migrates_an_empty_database(
    service: str, image: Callable[[str], Image], make_database: Callable[[str], Awaitable[dict[str, Any]]]
) -> None:
    made = image(service)
    code, said = made.run([*made.entrypoint, "migrate"], await make_database("chassis"))
    assert code == 0, said
    assert f'"{migrations.head(service)}"' in said


async def test_an_image_serves_says_that_it_is_healthy_and_stops_at_sigterm(
    image: Callable[[str], Image], make_database: Callable[[str], Awaitable[dict[str, Any]]]
) -> None:
    made = image("userfc")
    given = {**await make_database("userfc"), "http_port": free_port(), "grpc_port": free_port()}
    assert made.run(made.check, given)[0] == 1
    process = made.start([*made.entrypoint, *made.command], given)
    try:
        await eventually(lambda: made.run(made.check, given)[0] == 0, 60, 0.2)
        process.terminate()
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert '"stopped"' in output
