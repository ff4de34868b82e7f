"""Where a local stack lives and where it listens: one folder, and one offset that shifts every port."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fc.stack.errors import StackError

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ("userfc", "productfc", "orderfc", "paymentfc")
PORTS = {
    "userfc": 28080,
    "productfc": 28081,
    "orderfc": 28082,
    "paymentfc": 28083,
    "xendit": 28090,
    "grpc": 50051,
    "postgres": 5433,
    "redis": 6379,
    "kafka": 29092,
    "kafka_controller": 29093,
    "mongo": 27017,
}
MAX_OFFSET = 65535 - max(PORTS.values())
# A unix socket's path may have 107 bytes, and supervisord binds `<path>.<pid>` first: eight more with the longest pid.
MAX_SOCKET_PATH = 99


@dataclass(frozen=True)
class Layout:
    """The folder of one stack (data, logs, generated configuration) and what is added to each of its ports."""

    home: Path
    offset: int = 0

    @classmethod
    def from_environment(cls) -> Self:
        """Read FC_HOME (default `.local` in the checkout) and FC_PORT_OFFSET (default 0). Raises StackError."""
        home = Path(os.environ.get("FC_HOME") or ROOT / ".local").expanduser().resolve()
        given = os.environ.get("FC_PORT_OFFSET") or "0"
        if not given.isdecimal() or int(given) > MAX_OFFSET:
            raise StackError(f"FC_PORT_OFFSET must be a whole number from 0 to {MAX_OFFSET}, got {given!r}")
        return cls(home, int(given))

    def port(self, name: str) -> int:
        """Give the port of a part, see PORTS."""
        return PORTS[name] + self.offset

    def url(self, name: str) -> str:
        """Give the HTTP address of a service or of the Xendit simulator (`xendit`)."""
        return f"http://localhost:{self.port(name)}"

    def urls(self) -> dict[str, str]:
        """Give the HTTP addresses of the four services and of the simulator."""
        return {name: self.url(name) for name in (*SERVICES, "xendit")}

    def log(self, name: str) -> Path:
        """Give the log file of a program."""
        return self.home / "logs" / f"{name}.log"

    @property
    def socket(self) -> Path:
        """The supervisor's socket, in the temporary folder when the stack's own path is too long for one."""
        name = f"fc-{hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]}.sock"
        places = (self.home / "run" / "supervisor.sock", Path(tempfile.gettempdir()) / name)
        fitting = (path for path in places if len(os.fsencode(path)) <= MAX_SOCKET_PATH)
        return next(fitting, Path("/tmp") / name)
