"""Declared and imported dependencies must agree: each planted difference fails the check."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lint import dependencies
from lint.dependencies import PACKAGES, problems
from lint.sources import ROOT, Source, read

Plant = Callable[[Mapping[str, str]], list[Source]]

MODULE = "orderfc/orderfc/app.py"
LOCK = (
    "structlog==26.1.3 \\\n    --hash=sha256:00\nredis==8.1.0\nopentelemetry-api==1.45.1\nopentelemetry-sdk==1.45.1\n"
)


def project(*requirements: str) -> str:
    return f"[project]\nname = 'x'\ndependencies = {list(requirements)!r}\n"


@pytest.fixture
def checkout(plant: Plant, tmp_path: Path) -> Path:
    """A checkout in which only orderfc imports and declares anything: structlog."""
    for package, (pins, lock) in PACKAGES.items():
        plant({f"{package}/pyproject.toml": project(), lock: LOCK, **({pins: ""} if pins else {})})
    plant(
        {
            MODULE: "import json\nimport structlog\nfrom orderfc.model import Order\n",
            "orderfc/pyproject.toml": project("structlog>=26.1"),
            "orderfc/requirements.in": "-r ../chassis/requirements.in\nstructlog==26.1.3  # for logs\n",
            "scripts/pyproject.toml": project("python-multipart>=0.1"),
            "requirements-dev.txt": "python-multipart==0.1.0\n",
        }
    )
    return tmp_path


def test_the_packages_as_they_are_declare_what_they_import() -> None:
    assert problems(ROOT, read(ROOT)) == []


def test_a_package_that_declares_its_imports_passes(checkout: Path) -> None:
    assert problems(checkout, read(checkout)) == []


def test_a_dependency_of_an_extra_is_declared(plant: Plant, checkout: Path) -> None:
    extra = "[project.optional-dependencies]\ncache = ['redis>=8.1']\n"
    plant(
        {
            MODULE: "import structlog, redis\n",
            "orderfc/pyproject.toml": project("structlog>=26.1") + extra,
        }
    )
    assert problems(checkout, read(checkout)) == []


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({MODULE: "import structlog, redis\n"}, f"redis is not declared, but {MODULE} imports it"),
        (
            {MODULE: "import structlog\nfrom opentelemetry.sdk.trace import TracerProvider\n"},
            f"opentelemetry-sdk is not declared, but {MODULE} imports it",
        ),
        (
            {MODULE: "import structlog\nfrom opentelemetry import trace\n"},
            f"opentelemetry-api is not declared, but {MODULE} imports it",
        ),
        ({MODULE: "import structlog\nfind_spec('redis')\n"}, f"redis is not declared, but {MODULE} imports it"),
        ({MODULE: "import structlog\nimport chassis.ids\n"}, f"chassis is not declared, but {MODULE} imports it"),
        (
            {MODULE: "import structlog\nif TYPE_CHECKING:\n    import redis\n"},
            f"redis is not declared, but {MODULE} imports it",
        ),
        (
            {"orderfc/pyproject.toml": project("structlog>=26.1", "redis>=8.1")},
            "redis is declared, but not imported",
        ),
        (
            {"orderfc/pyproject.toml": project("structlog>=25.0")},
            "structlog is declared as '>=25.0', expected '>=26.1'",
        ),
        ({"orderfc/pyproject.toml": project("structlog")}, "structlog is declared as 'any version', expected '>=26.1'"),
        ({"orderfc/requirements.txt": "redis==8.1.0\n"}, "structlog is not in orderfc/requirements.txt"),
        ({"orderfc/requirements.in": "redis==8.1.0\n"}, "redis is in requirements.in, but not declared"),
        (
            {"orderfc/requirements.in": "structlog[dev]==26.1.3\n"},
            "structlog has the extras [], in requirements.in ['dev']",
        ),
    ],
)
def test_a_difference_fails(plant: Plant, checkout: Path, files: Mapping[str, str], problem: str) -> None:
    plant(files)
    assert problems(checkout, read(checkout)) == [f"orderfc/pyproject.toml: {problem}"]


def test_a_dependency_that_tests_alone_import_is_not_needed(plant: Plant, checkout: Path) -> None:
    sources = plant({"orderfc/tests/test_app.py": "import redis\n"})
    assert problems(checkout, sources) == []


def test_generated_code_needs_its_dependencies(plant: Plant, checkout: Path) -> None:
    sources = plant({"orderfc/orderfc/pb/user_pb2.py": "from google.protobuf import descriptor\n"})
    [problem] = problems(checkout, sources)
    assert "protobuf is not declared" in problem


def test_an_exception_that_is_not_needed_fails(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        dependencies, "NOT_IMPORTED", {("scripts", "python-multipart"): "", ("orderfc", "structlog"): ""}
    )
    assert problems(checkout, read(checkout)) == ["orderfc/pyproject.toml: structlog needs no entry in NOT_IMPORTED"]
