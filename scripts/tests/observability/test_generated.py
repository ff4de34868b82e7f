"""What is generated is current, and what is not is noticed."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from observability.__main__ import app
from observability.rules import FOLDER, ROOT


def command(name: str, root: Path) -> Result:
    return CliRunner().invoke(app, [name, "--root", str(root)])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the commands read and write."""
    shutil.copytree(ROOT / "deploy/observability", tmp_path / "deploy/observability")
    shutil.copytree(ROOT / "deploy/helm/go-commerce/rules", tmp_path / "deploy/helm/go-commerce/rules")
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs/operations.md", tmp_path / "docs")
    return tmp_path


def test_the_files_of_this_checkout_are_current() -> None:
    checked = command("check", ROOT)
    assert checked.exit_code == 0, checked.output


def test_an_alert_that_changes_makes_the_table_stale_until_it_is_written(checkout: Path) -> None:
    rules = checkout / FOLDER / "kafka.rules.yml"
    rules.write_text(rules.read_text().replace("a message could not be applied", "a message was refused", 1))
    checked = command("check", checkout)
    assert checked.exit_code == 1
    assert "a message was refused" in checked.output
    written = command("write", checkout).output
    assert "Written: docs/operations.md" in written
    assert "Written: deploy/helm/go-commerce/rules/kafka.rules.yml" in written
    assert command("check", checkout).exit_code == 0


def test_a_threshold_of_an_objective_is_not_changed_by_hand(checkout: Path) -> None:
    rules = checkout / FOLDER / "slo.rules.yml"
    rules.write_text(rules.read_text().replace("> 0.0144", "> 0.5", 1))
    assert "slo.rules.yml as it should be" in command("check", checkout).output


def test_a_page_without_a_place_for_the_table_is_refused(checkout: Path) -> None:
    (checkout / "docs/operations.md").write_text("# Operations\n")
    assert isinstance(command("check", checkout).exception, ValueError)
