"""docs/telemetry.yaml is made from the registries, and a stale file is noticed."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from fc.stack.layout import DEPLOYED, SERVICES
from telemetry import document, facts, registry
from telemetry.__main__ import app
from telemetry.registry import Metric

# A metric whose bucket a query names, and the bound; quotes in JSON have a backslash.
LE = re.compile(r'(\w+)_bucket\{[^}]*\ble=\\?"([^"\\]+)')


@pytest.fixture(scope="module", autouse=True)
def registries() -> Iterator[None]:
    """Read each registry once: a process imports a whole service."""
    read = {service: registry.of_service(service) for service in DEPLOYED}
    patch = pytest.MonkeyPatch()
    patch.setattr(registry, "of_service", read.__getitem__)
    yield
    patch.undo()


def run(command: str, root: Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, [command, "--root", str(root)])
    return done.exit_code, done.stderr


def test_the_list_of_this_checkout_is_current() -> None:
    assert run("check", document.ROOT) == (0, "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("http_server_request_duration_seconds:", "http_request_seconds:"),
        ("type: histogram", "type: summary"),
        ("unit: s", "unit: ms"),
        ("services: [orderfc]", "services: [userfc]"),
        ("outcome: [applied, split]", "outcome: [applied]"),
    ],
)
def test_a_stale_list_is_shown_and_written_anew(tmp_path: Path, old: str, new: str) -> None:
    (tmp_path / "docs").mkdir()
    file = tmp_path / document.PATH
    shutil.copy(document.ROOT / document.PATH, file)
    assert old in file.read_text("utf-8")
    file.write_text(file.read_text("utf-8").replace(old, new, 1), "utf-8")
    code, shown = run("check", tmp_path)
    assert (code, new in shown, "python -m telemetry write" in shown) == (1, True, True)
    assert run("write", tmp_path)[0] == 0
    assert run("check", tmp_path)[0] == 0


def test_a_label_that_nothing_is_known_of_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Metric("gocommerce_things_total", "counter", "Things", ("colour",))
    monkeypatch.setattr(registry, "of_service", lambda _service: [made])
    with pytest.raises(LookupError, match="the label colour of gocommerce_things_total"):
        document.text()


def test_facts_are_about_metrics_that_exist() -> None:
    known = {metric.name for service in SERVICES for metric in registry.of_service(service)}
    about = {
        *facts.CONVENTIONS,
        *facts.SHOWN_BY,
        *facts.UNSEEN,
        *facts.NOT_OF_CONSOLE,
        *(name.split(".")[0] for name in facts.LABELS if "." in name),
    }
    assert about <= known


def test_rules_and_dashboards_ask_for_buckets_that_are_shown() -> None:
    metrics = yaml.safe_load((document.ROOT / document.PATH).read_text("utf-8"))["metrics"]
    folder = document.ROOT / "deploy" / "observability"
    texts = [path.read_text("utf-8") for path in folder.rglob("*") if path.name.endswith((".rules.yml", ".json"))]
    asked = {found for text in texts for found in LE.findall(text)}
    assert len(asked) >= 2
    assert {(metric, bound) for metric, bound in asked if bound not in metrics[metric]["buckets"]} == set()
