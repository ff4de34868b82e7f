"""Programs that Go builds for the local stack, each once into the user's cache: `make observe`."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from servers.base import Missing, cache, locked

# The collector takes 2 minutes of one core, and more where the machine has other work.
BUILD_S = 3600
NICENESS = 15
FLAGS = ("-p=1", "-trimpath", "-ldflags=-s -w")


@dataclass(frozen=True)
class Program:
    """A program in Go: `source` is a package with its version, or the folder of a module; `version` names its file."""

    name: str
    source: str | Path
    version: str

    @property
    def _target(self) -> Path:
        return cache() / f"{self.name}-{self.version}" / self.name

    @property
    def is_built(self) -> bool:
        return self._target.exists()

    def path(self) -> Path:
        """Return where it is. Raises Missing when it has not been built."""
        if not self.is_built:
            raise Missing(f"{self.name} is not built: make observe builds it (needs Go)")
        return self._target

    def build(self) -> Path:
        """Build it unless that is done, at low priority and with one compiler at a time. Raises Missing."""
        with locked(self._target.parent):
            if not self.is_built:
                if not shutil.which("go"):
                    raise Missing("go is not installed: without it there is no log store here, all else works")
                self._compile()
        return self._target

    def _compile(self) -> None:
        # A build that is interrupted leaves no program.
        part = self._target.parent / "part"
        part.mkdir(parents=True, exist_ok=True)
        own = isinstance(self.source, Path)
        what = ["build", "-mod=readonly", "-o", str(part / self.name), "."] if own else ["install", str(self.source)]
        command = ["nice", "-n", str(NICENESS), "go", what[0], *FLAGS, *what[1:]]
        environment = {**os.environ, "GOBIN": str(part), "GOFLAGS": "", "CGO_ENABLED": "0", "GOWORK": "off"}
        try:
            result = subprocess.run(
                command,
                cwd=self.source if own else part,
                env=environment,
                capture_output=True,
                text=True,
                timeout=BUILD_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Missing(f"{self.name} was not built within {BUILD_S // 60} minutes") from None
        if result.returncode:
            raise Missing(f"go could not build {self.name}:\n{result.stderr[-2000:]}")
        (part / self.name).rename(self._target)
        shutil.rmtree(part, ignore_errors=True)
