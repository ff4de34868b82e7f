"""The results of runs: JSON files with the machine, the moment, the commit and the command."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from fc.stack.layout import ROOT

FOLDER = Path(__file__).parents[1] / "results"
"""Runs of the whole pace. They are committed: the documentation quotes nothing else."""
PASSING = ROOT / ".local" / "bench"
"""Quick runs and comparisons."""


def machine() -> dict[str, Any]:
    """Describe this machine, without its name."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": model,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "compiler": platform.python_compiler(),
    }


def commit(root: Path = ROOT) -> str:
    """Return the short hash, with `+` when files differ from it."""
    found = _git(root, "rev-parse", "--short=10", "HEAD")
    return f"{found}+" if found and _git(root, "status", "--porcelain") else found or "unknown"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def record(measured: Mapping[str, Any], command: str, pace: str, seconds: float) -> dict[str, Any]:
    """Return the whole result."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "commit": commit(),
        "command": command,
        "pace": pace,
        "seconds": round(seconds),
        "machine": machine(),
        **measured,
    }


def save(result: Mapping[str, Any], folder: Path) -> Path:
    """Write a result into a file that is named by its date and commit."""
    folder.mkdir(parents=True, exist_ok=True)
    moment = str(result["date"]).replace(":", "").replace("-", "")
    path = folder / f"{moment}-{str(result['commit']).rstrip('+')}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def kept(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """Return all results of a folder, the oldest first."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    return sorted(results, key=lambda result: str(result["date"]))
