"""A bill of materials that differs from the lock in anything is refused."""

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from delivery.__main__ import SERVICES
from delivery.sbom import Contents, differences, locked
from lint.sources import ROOT

A, B, C = "a" * 64, "b" * 64, "c" * 64
LOCK = f"""\
orjson==3.13.0 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:{C}
uvicorn[standard]==0.54.0 \\
    --hash=sha256:{C}
"""


def component(name: str, version: str, *hashes: str) -> dict[str, Any]:
    listed = [{"alg": "SHA-256", "content": one} for one in hashes]
    return {"name": name, "version": version, "externalReferences": [{"type": "distribution", "hashes": listed}]}


DOCUMENT: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"component": {"name": "orderfc", "version": "0.1.0"}},
    "components": [
        component("orjson", "3.13.0", B, A),
        component("Colorama", "0.4.6", C),
        component("uvicorn", "0.54.0", C),
    ],
}


@pytest.fixture
def lock(tmp_path: Path) -> Contents:
    (tmp_path / "requirements.txt").write_text(LOCK, "utf-8")
    return locked(tmp_path / "requirements.txt")


def test_a_document_of_the_lock_passes(lock: Contents) -> None:
    assert differences(DOCUMENT, "orderfc", "0.1.0", lock) == []


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda it: it["components"].pop(), "uvicorn 0.54.0 is missing"),
        (lambda it: it["components"].append(component("left-pad", "1.0", A)), "left-pad 1.0 is not in the lock"),
        (lambda it: it["components"][0].update(component("orjson", "3.13.0", A)), "orjson 3.13.0 has other hashes"),
        (lambda it: it["components"][0].update(externalReferences=[]), "orjson 3.13.0 has other hashes"),
        (lambda it: it["components"][1].update(version="0.4.7"), "colorama 0.4.6 is missing"),
        (lambda it: it.update(specVersion="1.5"), "it is no CycloneDX 1.6 document"),
        (lambda it: it["metadata"]["component"].update(name="userfc"), "it describes userfc 0.1.0, expected orderfc"),
        (lambda it: it["metadata"].clear(), "it describes None None, expected orderfc 0.1.0"),
    ],
)
def test_a_planted_difference_is_found(lock: Contents, change: Any, difference: str) -> None:
    planted = deepcopy(DOCUMENT)
    change(planted)
    assert difference in "\n".join(differences(planted, "orderfc", "0.1.0", lock))


@pytest.mark.parametrize("service", SERVICES)
def test_each_line_of_a_services_lock_is_read_with_its_hashes(service: str) -> None:
    path = ROOT / service / "requirements.txt"
    contents = locked(path)
    text = path.read_text("utf-8")
    assert len(contents) == text.count("==") - text.count(" == ")
    assert sum(map(len, contents.values())) == text.count("--hash=sha256:")
    assert all(contents.values()), "a line without hashes"


TOOL = """\
import json, sys
from pathlib import Path
arguments = dict(zip(sys.argv[2::1], sys.argv[3::1]))
service = Path(sys.argv[-1]).parent.name
about = Path(arguments["--pyproject"]).read_text()
version = about.partition('version = "')[2].partition('"')[0]
document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [],
            "metadata": {"component": {"name": service, "version": version}}}
Path(arguments["--output-file"]).write_text(json.dumps(document))
"""


def test_the_command_asks_the_tool_for_each_service_and_fails_when_a_document_lacks_something(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text(f"#!{sys.executable}\n{TOOL}", "utf-8")
    tool.chmod(0o755)
    command = [sys.executable, "-m", "delivery", "sbom", str(tool), str(tmp_path / "sbom")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1, done.stderr
    assert sorted(path.name for path in (tmp_path / "sbom").iterdir()) == sorted(f"{one}.cdx.json" for one in SERVICES)
    for service in SERVICES:
        assert f"{service}: fastapi" in done.stdout
        described = json.loads((tmp_path / "sbom" / f"{service}.cdx.json").read_text("utf-8"))["metadata"]["component"]
        assert f"it describes {described}" not in done.stdout
