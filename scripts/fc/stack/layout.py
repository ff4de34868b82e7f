"""The folder and the ports of a local stack; one offset shifts every port."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fc.stack.errors import StackError

ROOT = Path(__file__).resolve().parents[3]
"""The checkout."""
SERVICES = ("userfc", "productfc", "orderfc", "paymentfc")
CONSOLE = "console"
DEPLOYED = (*SERVICES, CONSOLE)
SIMULATOR = "xendit"
PORTS = {
    "userfc": 28080,
    "productfc": 28081,
    "orderfc": 28082,
    "paymentfc": 28083,
    CONSOLE: 28084,
    SIMULATOR: 28090,
    "grpc": 50051,
    "postgres": 5433,
    "redis": 6379,
    "kafka": 29092,
    "kafka_controller": 29093,
    "kafka-2": 29094,
    "kafka-2_controller": 29095,
    "kafka-3": 29096,
    "kafka-3_controller": 29097,
    "mongo": 27017,
}
OBSERVERS = {"victorialogs": 9428, "collector": 13133, "collector_metrics": 8888, "prometheus": 9090}
"""The ports of what `fc up --observe` adds."""
# Linux takes ports for outgoing connections from here on, and such a connection can hold a server's port at its start.
EPHEMERAL = 32_768
# The contract's port of gRPC lies behind it. A stack with an offset uses another.
_SHIFTED = PORTS | OBSERVERS | {"grpc": 24_051}
MAX_OFFSET = EPHEMERAL - 1 - max(_SHIFTED.values())
# The path of a Unix socket may have 107 bytes, and supervisord binds `<path>.<pid>` first: up to eight bytes more.
MAX_SOCKET_PATH = 99


@dataclass(frozen=True)
class Layout:
    """The folder of one stack (data, logs, generated configuration) and the offset that is added to each port."""

    home: Path
    offset: int = 0

    @classmethod
    def from_environment(cls) -> Self:
        """Read FC_HOME (default `.local` in the checkout) and FC_PORT_OFFSET (default 0). Raises StackError."""
        named = os.environ.get("FC_HOME") or str(ROOT / ".local")
        try:
            home = Path(named).expanduser().resolve()
        except (OSError, RuntimeError) as error:
            raise StackError(f"FC_HOME must be a folder, got {named!r} ({error})") from None
        offset = os.environ.get("FC_PORT_OFFSET") or "0"
        if not offset.isdecimal() or int(offset) > MAX_OFFSET:
            raise StackError(f"FC_PORT_OFFSET must be a whole number from 0 to {MAX_OFFSET}, got {offset!r}")
        return cls(home, int(offset))

    def port(self, name: str) -> int:
        """Return the port of a part named in PORTS or OBSERVERS."""
        return _SHIFTED[name] + self.offset if self.offset else (PORTS | OBSERVERS)[name]

    def url(self, name: str) -> str:
        """Return the HTTP address of a service, of the console or of the Xendit simulator."""
        return f"http://localhost:{self.port(name)}"

    def urls(self) -> dict[str, str]:
        """Return the HTTP addresses of the four services and of the simulator."""
        return {name: self.url(name) for name in (*SERVICES, SIMULATOR)}

    def log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    @property
    def socket(self) -> Path:
        """The supervisor's socket; in the temporary folder when the path in the stack's folder is too long."""
        name = f"fc-{hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]}.sock"
        candidates = (self.home / "run" / "supervisor.sock", Path(tempfile.gettempdir()) / name)
        usable = (path for path in candidates if len(os.fsencode(path)) <= MAX_SOCKET_PATH)
        return next(usable, Path("/tmp") / name)
