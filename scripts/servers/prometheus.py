"""Prometheus and promtool: those that are installed, else Debian's package, unpacked into the user's cache.

`python -m servers.prometheus` gets them and prints where they are.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import httpx2

from servers.base import HOST, Missing, Server, cache, locked

PROGRAMS = ("prometheus", "promtool")
# The rules need nothing newer; Debian 12 has this one.
OLDEST = (2, 42)
_HELP = "install Prometheus 2.42 or newer (the programs prometheus and promtool)"


def program(name: str) -> Path:
    """Return the program `prometheus` or `promtool`, downloading it once. Raises Missing."""
    installed = {each: shutil.which(each) for each in PROGRAMS}
    if all(installed.values()) and _version(Path(str(installed["promtool"]))) >= OLDEST:
        return Path(str(installed[name]))
    folder = cache() / "prometheus-debian"
    if not (folder / ".complete").exists():
        with locked(folder):
            if not (folder / ".complete").exists():
                _download(folder)
    return folder / "usr/bin" / name


def _version(promtool: Path) -> tuple[int, ...]:
    answer = subprocess.run([promtool, "--version"], capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r"version (\d+)\.(\d+)", answer.stdout + answer.stderr)
    return tuple(int(part) for part in found.groups()) if found else (0,)


def _download(folder: Path) -> None:
    for needed in ("apt-get", "dpkg-deb"):
        if not shutil.which(needed):
            raise Missing(f"{needed} is not installed, which gets Debian's package of Prometheus: {_HELP}")
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        _fetch(Path(name))
        [package] = Path(name).glob("prometheus_*.deb")
        _run("dpkg-deb", "--extract", str(package), str(folder))
    if (version := _version(folder / "usr/bin/promtool")) < OLDEST:
        raise Missing(f"this system's package has Prometheus {'.'.join(map(str, version))}: {_HELP}")
    (folder / ".complete").touch()


def _fetch(folder: Path) -> None:
    """Download the package by apt, which verifies it. A machine without lists of packages gets them in this folder."""
    # Without this apt warns that its own user can't write here.
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root"]
    first = subprocess.run(
        [*command, "download", "prometheus"], cwd=folder, capture_output=True, timeout=600, check=False
    )
    if first.returncode:
        lists, archives = folder / "lists", folder / "cache"
        (lists / "partial").mkdir(parents=True)
        (archives / "archives/partial").mkdir(parents=True)
        command += ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={archives}"]
        _run(*command, "update")
        _run(*command, "download", "prometheus", cwd=folder)


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise Missing(f"{command[0]} could not get Prometheus: {(done.stdout + done.stderr)[-500:]}\n{_HELP}")


@dataclass
class Prometheus(Server):
    """A Prometheus that scrapes and judges what its configuration file names. It keeps 2 GB at most."""

    configuration: Path = Path("prometheus.yml")

    name = "prometheus"

    def origin(self) -> str:
        return str(program("prometheus"))

    def prepare(self) -> None:
        """Make the folder of the data."""
        self.home.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        """Return the command line, with exemplars kept and the pages of the package left out."""
        return [
            str(program("prometheus")),
            f"--config.file={self.configuration}",
            f"--storage.tsdb.path={self.home / 'data'}",
            "--storage.tsdb.retention.size=2GB",
            "--enable-feature=exemplar-storage",
            f"--web.listen-address={HOST}:{self.port}",
        ]

    async def ready(self) -> bool:
        """Whether it has read its write-ahead log and answers queries."""
        async with httpx2.AsyncClient(timeout=1) as client:
            try:
                return (await client.get(f"http://{HOST}:{self.port}/-/ready")).is_success
            except httpx2.HTTPError:
                return False


def main() -> None:
    """Print both programs. Exits with one line that says what is missing."""
    try:
        for name in PROGRAMS:
            sys.stdout.write(f"{program(name)}\n")
    except Missing as error:
        sys.exit(f"prometheus: {error}")


if __name__ == "__main__":
    main()
