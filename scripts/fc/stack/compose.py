"""The same platform by `docker compose`, on machines where a Docker engine answers."""

import os
import shutil
import subprocess
from collections.abc import Mapping

from fc.stack.accounts import ACCOUNTS, ADMIN, Accounts
from fc.stack.errors import StackError
from fc.stack.layout import ROOT, Layout
from fc.stack.programs import given_settings

ENGINE_S = 5
UP_S = 900
TOPIC_JOBS = ("productfc-topics", "orderfc-topics", "paymentfc-topics")


def engine() -> str | None:
    """Give the version of the Docker engine that answers, None when there is none (or FC_NATIVE=1 rules it out)."""
    if os.environ.get("FC_NATIVE") == "1" or not shutil.which("docker"):
        return None
    try:
        done = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True, text=True, timeout=ENGINE_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


class Compose:
    """`docker compose` in the checkout: ports are the standard ones, and a `.env` there is read by it."""

    def __init__(self) -> None:
        self._layout = Layout(ROOT)
        if os.environ.get("FC_PORT_OFFSET", "0") not in ("", "0"):
            raise StackError("FC_PORT_OFFSET works with the local stack only: set FC_NATIVE=1 too")

    def urls(self) -> dict[str, str]:
        """Give all HTTP addresses."""
        return self._layout.urls()

    def accounts(self) -> Accounts:
        """Give the seed's accounts, with the administrator of the `.env`."""
        told: Mapping[str, str] = {**ADMIN, **given_settings()}
        return {**ACCOUNTS, "admin": (told["ADMIN_EMAIL"], told["ADMIN_PASSWORD"])}

    def up(self) -> None:
        """Build, start and wait until everything is healthy. Raises StackError."""
        self.run("up", "--build", "--detach", "--wait", "--wait-timeout", str(UP_S))

    def down(self, *, wipe: bool) -> None:
        """Stop and remove the containers; `wipe` removes the volumes too."""
        self.run("down", *(["--volumes"] if wipe else []))

    def make_topics(self) -> None:
        """Run the jobs that create topics. Raises StackError."""
        for name in TOPIC_JOBS:
            self.run("run", "--rm", name)

    def run(self, *arguments: str) -> None:
        """Run a compose command with its own output. Raises StackError when it fails."""
        done = subprocess.run(["docker", "compose", *arguments], cwd=ROOT, check=False)
        if done.returncode:
            raise StackError(f"docker compose {arguments[0]} failed (exit code {done.returncode})")
