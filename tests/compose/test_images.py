"""What is in the images of the project: what is locked, its own service, and nothing for tests or development."""

import re
from pathlib import PurePosixPath

import pytest
from packaging.utils import canonicalize_name

from fc.stack.layout import ROOT, SERVICES
from tests.compose.kit.platform import Platform
from tests.compose.kit.record import Record
from tests.contract.compose import resolved
from tests.contract.dockerfile import DOCKERFILE, steps

LIST = """
import os
for folder, folders, files in os.walk("/"):
    folders[:] = [each for each in folders if os.path.join(folder, each) not in ("/proc", "/sys", "/dev")]
    print(*(os.path.join(folder, each) for each in files), sep="\\n")
"""
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
VERSIONS = {
    "postgres": ["postgres", "--version"],
    "redis": ["redis-server", "--version"],
    "apache/kafka": ["/opt/kafka/bin/kafka-topics.sh", "--version"],
    "mongo": ["mongosh", "--quiet", "--eval", "db.version()"],
    "hashicorp/vault": ["vault", "version"],
}
# What `useradd` changes keeps a copy of what was.
ACCOUNTS = re.compile(r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?")


def files_of(platform: Platform, image: str) -> set[str]:
    """List every file of an image."""
    options = ["--rm", "--network", "none", "--user", "0:0", "--entrypoint", "python"]
    return set(platform.run("docker", "run", *options, image, "-c", LIST).stdout.split("\n")) - {""}


@pytest.fixture(scope="module")
def base(engine: Platform) -> set[str]:
    """The files of the image on which those of the project stand."""
    [image] = {step.text.split()[0] for step in steps(DOCKERFILE) if step.name == "FROM"}
    return files_of(engine, image)


def installed(files: set[str]) -> set[str]:
    """Return the distributions in an image's environment."""
    names = {part for file in files for part in PurePosixPath(file).parts if part.endswith(".dist-info")}
    return {canonicalize_name(name.removesuffix(".dist-info").rsplit("-", 1)[0]) for name in names}


@pytest.mark.parametrize("service", [*SERVICES, "xendit-simulator", "auditor"])
def test_an_image_has_what_is_locked_and_its_own_program_and_nothing_for_tests(
    platform: Platform, base: set[str], service: str
) -> None:
    added = files_of(platform, f"go-commerce/{service}:local") - base
    ours = {file for file in added if file.startswith("/app/")}
    libraries = {file for file in added if file.startswith("/venv/")}
    assert [file for file in added - ours - libraries if not ACCOUNTS.fullmatch(file)] == []
    assert [file for file in added if {"tests", "testing"} & set(PurePosixPath(file).parts)] == []
    if service in SERVICES:
        lock, own = ROOT / service / "requirements.txt", {"chassis", service}
        data = {
            str(file.relative_to(ROOT / service)) for file in (ROOT / service / "files").rglob("*") if file.is_file()
        }
        assert ours == {f"/app/{name}" for name in {"healthy.py", "service.py", *data}}
    elif service == "auditor":
        lock, own = ROOT / "deploy/auditor-requirements.txt", {"chassis"}
        assert {PurePosixPath(file).parts[2] for file in ours} == {"fc", "console"}
    else:
        lock, own = ROOT / "deploy/simulator-requirements.txt", set()
        assert {file for file in ours if not file.startswith("/app/xendit_sim/")} == {"/app/healthy.py"}
    locked = {canonicalize_name(name) for name in LOCKED.findall(lock.read_text(encoding="utf-8"))}
    found = {file for file in libraries if "/site-packages/" in file}
    assert own <= installed(found) <= locked | own


def test_what_runs_is_what_the_compose_file_pins(platform: Platform, record: Record) -> None:
    named = {one["image"] for one in resolved()["services"].values() if not one.get("profiles")}
    running = {platform.inspected(one.id)["Config"]["Image"]: one for one in platform.containers().values()}
    assert set(running) == named
    for image, one in running.items():
        found = platform.inspected(image)
        pulled = any(not digest.startswith("go-commerce/") for digest in found["RepoDigests"])
        record.images[image] = (found["Size"] / 1e6, pulled, _version(platform, image, one.id))


def _version(platform: Platform, image: str, container: str) -> str:
    """Ask a server which version it is."""
    command = VERSIONS.get(image.split(":")[0])
    if command is None:
        return ""
    said = platform.run("docker", "exec", container, *command, ok=False).stdout
    found = re.search(r"\d+\.\d+(\.\d+)?", said)
    return found[0] if found else ""
