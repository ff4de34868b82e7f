"""`python -m contracts`: stale files fail with a diff; a change that breaks a reader is refused."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.__main__ import app
from contracts.files import ASYNCAPI, ROOT, SAGA, schema_file
from lint.sources import PRODUCT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout's contract files and the sources of its services, which may be changed."""
    for package in PRODUCT:
        shutil.copytree(ROOT / package / package, tmp_path / package / package)
    shutil.copytree(ROOT / "protos/events", tmp_path / "protos/events")
    (tmp_path / ASYNCAPI).parent.mkdir()
    shutil.copy(ROOT / ASYNCAPI, tmp_path / ASYNCAPI)
    shutil.copy(ROOT / SAGA, tmp_path / SAGA)
    return tmp_path


def run(command: str, root: Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, [command, "--root", str(root)])
    return done.exit_code, done.output


def test_check_passes_on_current_files_and_fails_with_a_difference_on_others_until_they_are_written(
    checkout: Path,
) -> None:
    assert run("check", checkout)[0] == 0
    path = checkout / ASYNCAPI
    path.write_text(path.read_text().replace("replicas: 1", "replicas: 7", 1))
    code, output = run("check", checkout)
    assert code == 1
    assert "-        replicas: 7" in output
    assert "+        replicas: 1" in output
    assert "python -m contracts write" in output
    assert run("write", checkout)[0] == 0
    assert path.read_text() == (ROOT / ASYNCAPI).read_text()
    assert run("check", checkout)[0] == 0


def test_check_and_write_refuse_what_was_published_before_and_is_gone_and_write_nothing(checkout: Path) -> None:
    path = checkout / schema_file("payment.failed")
    former = path.read_text().replace('"reason": {', '"cause": {').replace('"reason"\n', '"cause"\n')
    path.write_text(former)
    for command in ("check", "write"):
        code, output = run(command, checkout)
        assert code == 1
        assert "payment.failed: field cause was renamed to reason; no service here reads it, but others may" in output
        assert (
            "payment.failed: in messages published before, field reason is missing; orderfc (Go) requires it" in output
        )
    assert path.read_text() == former


def test_a_schema_whose_topic_is_gone_is_missed(checkout: Path) -> None:
    shutil.copy(checkout / schema_file("stock.updated"), checkout / schema_file("stock.moved"))
    code, output = run("check", checkout)
    assert (code, output.splitlines()[0]) == (
        1,
        "stock.moved: the topic is no longer published; no service here reads it, but others may",
    )


def test_a_golden_example_that_changes_makes_the_document_stale(checkout: Path) -> None:
    path = checkout / "protos/events/payment.failed.json"
    path.write_text(path.read_text().replace("1001", "1002"))
    code, output = run("check", checkout)
    assert code == 1
    assert [line for line in output.splitlines() if line.startswith("+ ") and line.endswith(" order_id: 1002")]


def test_a_handler_of_another_use_case_makes_the_saga_stale(checkout: Path) -> None:
    path = checkout / "productfc/productfc/handler/kafka.py"
    path.write_text(path.read_text().replace("await return_stock(", "await take_stock("))
    code, output = run("check", checkout)
    assert code == 1
    assert [line for line in output.splitlines() if line.startswith("+| `stock.rollback`") and "take_stock" in line]


def test_a_handler_without_a_use_case_is_named(checkout: Path) -> None:
    path = checkout / "productfc/productfc/handler/kafka.py"
    path.write_text(path.read_text().replace("await return_stock(", "print("))
    code, output = run("check", checkout)
    assert code == 1
    assert "productfc's handler of stock.rollback calls not one use-case" in output


def test_the_command_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "contracts", "check"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "The event contract is current and breaks no reader.\n"), done.stderr
