"""Each contract of import-linter breaks on a planted violation: a check that cannot fail proves nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEPLOYED = ("chassis", "userfc", "productfc", "orderfc", "paymentfc", "console")
TOOLS = ("fc", "servers", "testkit", "xendit_sim", "contracts", "openapi", "telemetry", "mutants", "lint")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages and the configuration, in a folder that may be spoiled."""
    folder = tmp_path_factory.mktemp("layers")
    sources = [ROOT / package / package for package in DEPLOYED] + [ROOT / "scripts" / tool for tool in TOOLS]
    for source in sources:
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--no-logo"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_packages_as_they_are_keep_all_contracts(copy: Path) -> None:
    found = lint(copy)
    assert found.returncode == 0, found.stdout
    assert "10 kept, 0 broken" in found.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("productfc/model.py", "import orderfc.model", "Services stand on the chassis"),
        ("chassis/money.py", "import userfc.model", "Services stand on the chassis"),
        ("chassis/errors.py", "import chassis.events", "No import in the chassis runs upwards"),
        ("chassis/db/outbox.py", "import chassis.kafka.relay", "No import in the chassis runs upwards"),
        ("chassis/http/app.py", "import chassis.kafka.producer", "No import in the chassis runs upwards"),
        ("fc/stack/local.py", "import fc.demo.seed", "No import in fc runs upwards"),
        ("fc/platform/sources.py", "import fc.audit.reading.xendit", "No import in fc runs upwards"),
        ("fc/ops/read_unfinished.py", "import fc.audit.reading.queries", "No import in fc runs upwards"),
        ("fc/audit/rules/rule.py", "import fc.audit.reading.spill", "The auditor reads, checks and reports"),
        ("fc/audit/model.py", "import fc.audit.rules.rule", "The auditor reads, checks and reports"),
        ("chassis/db/database.py", "import fc", "What is deployed needs no development tool"),
        ("chassis/ids.py", "import hypothesis", "What is deployed needs no development tool"),
        ("orderfc/app.py", "import pytest", "What is deployed needs no development tool"),
        ("orderfc/model.py", "import orderfc.repository.orders", "A layer may be skipped downwards"),
        ("paymentfc/repository/payments.py", "import paymentfc.usecase.create_invoice", "A layer may be skipped"),
        ("paymentfc/pdf/drawings.py", "import paymentfc.usecase.create_invoice", "A layer may be skipped downwards"),
        ("orderfc/client/products.py", "import orderfc.usecase.checkout", "A layer may be skipped downwards"),
        ("paymentfc/service/settlement.py", "import paymentfc.client.xendit", "A layer may be skipped downwards"),
        ("console/model/saga.py", "import console.client.order_records", "A layer may be skipped downwards"),
        ("console/model/timeline.py", "import httpx2", "The console's model asks nobody"),
        ("orderfc/app.py", "import console.app", "Services stand on the chassis"),
        ("userfc/handler/http.py", "import sqlalchemy", "SQL lives in repositories"),
        ("orderfc/usecase/checkout.py", "import asyncpg", "SQL lives in repositories"),
        ("productfc/service/stock.py", "import sqlalchemy", "SQL lives in repositories"),
        ("paymentfc/client/xendit.py", "import asyncpg", "SQL lives in repositories"),
        ("orderfc/client/products.py", "import orderfc.repository.orders", "A client uses no repository"),
        ("orderfc/usecase/checkout.py", "import fastapi", "Usecases and services know neither HTTP nor Kafka"),
        ("userfc/service/passwords.py", "import aiokafka", "Usecases and services know neither HTTP nor Kafka"),
    ],
)
def test_a_planted_import_breaks_its_contract(copy: Path, file: str, line: str, contract: str) -> None:
    path = copy / file
    sound = path.read_text(encoding="utf-8")
    path.write_text(f"{sound}\n{line}\n", encoding="utf-8")
    try:
        found = lint(copy)
    finally:
        path.write_text(sound, encoding="utf-8")
    assert found.returncode == 1
    assert [row for row in found.stdout.splitlines() if row.startswith(contract) and row.endswith("BROKEN")], (
        found.stdout
    )
