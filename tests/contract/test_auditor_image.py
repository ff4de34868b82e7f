"""The auditor's image: the modules that an audit needs, and nothing else of this project or of others."""

import ast
import json
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fc.stack.layout import ROOT
from tests.contract.dockerfile import AUDITOR, exec_form, steps
from tests.contract.test_dockerfile import locked

LIST = """
import sys
import fc.audit.__main__
files = {str(getattr(module, "__file__", None)) for module in sys.modules.values()}
print(*sorted(files), sep="\\n")
"""
# What other programs of this project need.
NEVER = {"typer", "rich", "pytest", "fastapi", "uvicorn", "grpc", "sqlalchemy", "alembic"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's folder /app."""
    folder = tmp_path_factory.mktemp("auditor")
    everything = steps(AUDITOR.read_text(encoding="utf-8"))
    for step in everything:
        if step.name != "COPY" or step.stage != everything[-1].stage or step.text.startswith("--from"):
            continue
        *sources, target = step.text.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (folder / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, folder / target)
    return folder


@pytest.fixture(scope="module")
def imported(app: Path) -> set[Path]:
    """The files that the program imports: those of the image's folder, of the chassis and of libraries."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", LIST],
        cwd=app,
        env={"PYTHONPATH": str(app)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {Path(file) for file in done.stdout.split("\n") if file}


def test_the_image_has_the_modules_that_an_audit_imports_and_no_others(app: Path, imported: set[Path]) -> None:
    there = {file for file in app.rglob("*") if file.is_file()}
    assert len(there) > 40
    assert there == {file for file in imported if file.is_relative_to(app)}
    others = {file for file in imported if file.is_relative_to(ROOT) and not file.is_relative_to(ROOT / ".venv")}
    assert {file.relative_to(ROOT).parts[0] for file in others} == {"chassis"}


def test_the_lock_has_the_libraries_that_an_audit_imports(app: Path, imported: set[Path]) -> None:
    held = {canonicalize_name(Requirement(line).name) for line in locked(ROOT / "deploy/auditor-requirements.txt")}
    ours = {file for file in imported if file.is_relative_to(app) or file.is_relative_to(ROOT / "chassis")}
    known = packages_distributions()
    names = {name for file in ours for name in _libraries(file)} - {"fc", "console", "chassis"}
    assert {"aiokafka", "asyncpg", "httpx2", "pymongo", "redis"} <= names
    assert {name for name in names if not {canonicalize_name(each) for each in known[name]} & held} == set()
    assert names & NEVER == set()
    assert held & {canonicalize_name(each) for name in NEVER for each in known[name]} == set()


def _libraries(file: Path) -> set[str]:
    """Return the names of the libraries that a module imports when it is imported itself."""
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        found |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
        found |= {node.module or ""} if isinstance(node, ast.ImportFrom) else set()
    return {name.split(".")[0] for name in found} - set(sys.stdlib_module_names)


def test_it_runs_the_auditor_and_says_in_one_line_what_is_missing(app: Path) -> None:
    last = {step.name: step.text for step in steps(AUDITOR.read_text(encoding="utf-8"))}
    words = exec_form(last["ENTRYPOINT"]) or []
    assert words[0] == "python"
    command = [sys.executable, *words[1:]]
    done = subprocess.run(
        command, cwd=app, env={"PYTHONPATH": str(app)}, capture_output=True, text=True, timeout=60, check=False
    )
    # 1 would mean violations, after which the job is not repeated.
    assert (done.returncode, done.stderr) == (2, "")
    [line] = done.stdout.splitlines()
    said = json.loads(line)["summary"]["error"]
    assert said.startswith("auditor: setting ")
    assert "setting DB_AUDIT_PASSWORD: is missing" in said
