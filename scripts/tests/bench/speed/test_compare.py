"""Another commit is checked out beside this one, and nothing of it stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.speed.compare import checked_out, same_libraries
from bench.speed.errors import Unmeasured
from fc.stack.layout import SERVICES


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = subprocess.run(["git", "-C", str(root), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for service in SERVICES:
        (tmp_path / service).mkdir()
        (tmp_path / service / "requirements.txt").write_text("fastapi==1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    (tmp_path / "new").touch()
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "second")
    return tmp_path


def test_the_commit_has_its_own_files_and_this_python_and_its_folder_is_removed(root: Path) -> None:
    with checked_out("HEAD~1", root) as other:
        assert (other.root / "orderfc").is_dir()
        assert not (other.root / "new").exists()
        assert other.python == sys.executable
        assert other.commit == git(root, "rev-parse", "--short=10", "HEAD~1")
    assert not other.root.exists()
    assert len(git(root, "worktree", "list").splitlines()) == 1


def test_its_folder_is_removed_as_well_when_the_measurement_is_interrupted(root: Path) -> None:
    with pytest.raises(KeyboardInterrupt), checked_out("HEAD", root) as other:
        raise KeyboardInterrupt
    assert not other.root.exists()
    assert len(git(root, "worktree", "list").splitlines()) == 1


def test_an_unknown_commit_is_named(root: Path) -> None:
    with pytest.raises(Unmeasured, match="there is no commit nowhere"), checked_out("nowhere", root):
        pass


def test_one_environment_serves_both_only_while_no_service_needs_other_libraries(root: Path, tmp_path: Path) -> None:
    with checked_out("HEAD", root) as other:
        assert same_libraries(root, other.root)
        (root / "paymentfc" / "requirements.txt").write_text("fastapi==2\n")
        assert not same_libraries(root, other.root)
