"""`COMPARE=commit`: another commit in a worktree of its own, beside this checkout."""

import filecmp
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.speed.errors import Unmeasured
from fc.stack.layout import ROOT, SERVICES

SETUP_S = 900


@dataclass(frozen=True, slots=True)
class Checkout:
    """A commit's files and the Python that runs them."""

    commit: str
    root: Path
    python: str


@contextmanager
def checked_out(commit: str, root: Path = ROOT) -> Iterator[Checkout]:
    """Check a commit out into a temporary folder; remove it afterwards. Raises Unmeasured for an unknown commit."""
    known = _git(root, "rev-parse", "--verify", "--quiet", "--short=10", f"{commit}^{{commit}}")
    if known.returncode:
        raise Unmeasured(f"there is no commit {commit}")
    name = known.stdout.strip()
    with tempfile.TemporaryDirectory(prefix="bench-commit-") as folder:
        path = Path(folder) / "checkout"
        # PostgreSQL and the services pass through it.
        Path(folder).chmod(0o755)
        try:
            added = _git(root, "worktree", "add", "--detach", str(path), name)
            if added.returncode:
                raise Unmeasured(f"the worktree of {name} could not be made: {added.stderr.strip()}")
            yield Checkout(name, path, _python(root, path))
        finally:
            _git(root, "worktree", "remove", "--force", str(path))
    _git(root, "worktree", "prune")


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)


def _python(root: Path, other: Path) -> str:
    """Return the Python of this run when both need the same libraries; else make an environment for the other."""
    if same_libraries(root, other):
        return sys.executable
    made = subprocess.run(
        ["make", "setup", f"PYTHON={sys.executable}"],
        cwd=other,
        capture_output=True,
        text=True,
        timeout=SETUP_S,
        check=False,
    )
    if made.returncode:
        raise Unmeasured(f"make setup failed in the worktree: {made.stderr.strip()[-500:]}")
    return str(other / ".venv" / "bin" / "python")


def same_libraries(one: Path, other: Path) -> bool:
    """Whether what is deployed needs the same libraries in two checkouts."""
    files = [f"{service}/requirements.txt" for service in SERVICES]
    same, _, _ = filecmp.cmpfiles(one, other, files, shallow=False)
    return len(same) == len(files)
