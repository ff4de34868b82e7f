"""The content and the commands of the images, tested without an engine on installed wheels."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from chassis.db import revisions
from fc.stack.layout import CONSOLE, DEPLOYED, ROOT, SERVICES
from testkit import eventually, free_port
from tests.contract.dockerfile import DOCKERFILE, copied, exec_form, steps


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels, built with the Dockerfile's own options."""
    [command] = [part for step in steps(DOCKERFILE) for part in step.text.split("&&") if "pip wheel" in part]
    options = [word for word in command.partition("pip wheel")[2].split() if word.startswith("--")]
    options.remove("--wheel-dir")
    folder = tmp_path_factory.mktemp("wheels")
    sources = [f"./{name}" for name in ("chassis", *DEPLOYED)]
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
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(site),
            "SERVICE": service,
            "ENVIRONMENT": "development",
        }
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
        """Run a command to its end and return exit code and output."""
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


@pytest.mark.parametrize("service", DEPLOYED)
def test_a_wheel_has_everything_of_its_package(service: str, wheels: Path) -> None:
    [wheel] = wheels.glob(f"{service}-*.whl")
    held = set(ZipFile(wheel).namelist())
    package = ROOT / service / service
    kinds = (".py", ".mako", ".html", ".css", ".js")
    wanted = {str(file.relative_to(ROOT / service)) for file in package.rglob("*") if file.suffix in kinds}
    assert wanted
    assert wanted <= held
    assert service == CONSOLE or any(re.fullmatch(rf"{service}/migrations/versions/\d+_\w+\.py", name) for name in held)


@pytest.mark.parametrize("service", DEPLOYED)
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
    assert f'"{revisions.head(service)}"' in said


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
