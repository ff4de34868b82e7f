"""`make tools-helm` says what is missing where the pinned program can't be had."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "get_helm.py"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, on another processor and with a folder of its own."""
    spec = importlib.util.spec_from_file_location("get_helm", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PROGRAM", tmp_path / "bin/helm")
    monkeypatch.setattr(module.platform, "machine", lambda: "aarch64")
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    return module


def test_another_processor_needs_a_helm_that_is_installed(script: ModuleType) -> None:
    with pytest.raises(SystemExit, match="has no program for aarch64. Install helm"):
        script._program(Path("unused.whl"))


def test_an_installed_helm_is_taken_there(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs/helm").symlink_to("/bin/true")
    script._program(Path("unused.whl"))
    assert subprocess.run([script.PROGRAM], check=False).returncode == 0


def test_packages_that_cannot_be_had_are_named(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = tmp_path / "tools.txt"
    pins.write_text(f"nothing-of-this-name==1.0 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(script, "PINS", pins)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(script.sys, "executable", sys.executable)
    with pytest.raises(SystemExit, match=r"deploy/helm/tools.txt could not be downloaded"):
        script._download(tmp_path)
