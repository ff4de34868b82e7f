"""The simulator's settings, all from environment variables with values that suit the local stack."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin, urlsplit


@dataclass(frozen=True)
class Settings:
    """Where to listen, what callers must know, where callbacks go.

    `retry_scale` is how long a simulated second lasts, in real seconds; `data` is a SQLite file, None keeps all in
    memory; `clock_file` is the file of the local stack's clock.
    """

    host: str = "127.0.0.1"
    port: int = 28090
    key: str = "xnd_development_local"
    callback_url: str = "http://localhost:28083/v1/payments/xendit/webhook"
    callback_token: str = "development-webhook-token"
    data: str | None = None
    clock_file: str | None = None
    public_url: str = "http://localhost:28090"
    retry_scale: float = 1 / 900
    hosts: frozenset[str] = frozenset()

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The names under which the simulator may be called: `hosts`, its own address, and this machine's."""
        own = {"localhost", "127.0.0.1", "::1", self.host, urlsplit(self.public_url).hostname or ""}
        return self.hosts | own - {""}

    @property
    def refund_callback_url(self) -> str:
        """The address beside that of invoice callbacks, named `refund-webhook`."""
        return urljoin(self.callback_url, "refund-webhook")

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read the environment; an empty variable counts as unset. Raises SystemExit naming a malformed one."""

        def text(default: str, *names: str) -> str:
            return next((value for name in names if (value := env.get(name, "").strip())), default)

        port = _port(text(str(cls.port), "XENDIT_SIM_PORT"))
        return cls(
            host=text(cls.host, "XENDIT_SIM_HOST"),
            port=port,
            key=text(cls.key, "XENDIT_SIM_KEY", "XENDIT_SECRET_API_KEY"),
            callback_url=_url("XENDIT_SIM_CALLBACK_URL", text(cls.callback_url, "XENDIT_SIM_CALLBACK_URL")),
            callback_token=_token(text(cls.callback_token, "XENDIT_SIM_CALLBACK_TOKEN", "XENDIT_WEBHOOK_TOKEN")),
            data=text("", "XENDIT_SIM_DATA") or None,
            clock_file=text("", "XENDIT_SIM_CLOCK_FILE") or None,
            public_url=_url(
                "XENDIT_SIM_PUBLIC_URL", text(f"http://localhost:{port}", "XENDIT_SIM_PUBLIC_URL").rstrip("/")
            ),
            retry_scale=_scale(text("1/900", "XENDIT_SIM_RETRY_SCALE")),
            hosts=frozenset(name.strip().lower() for name in text("", "XENDIT_SIM_HOSTS").split(",") if name.strip()),
        )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise SystemExit("XENDIT_SIM_PORT must be a port number from 1 to 65535")
    return int(text)


def _scale(text: str) -> float:
    """Read a number, or a fraction such as 1/900."""
    above, _, below = text.partition("/")
    try:
        scale = float(above) / float(below or "1")
    except (ValueError, ZeroDivisionError):
        scale = math.nan
    if not (math.isfinite(scale) and scale >= 0):
        raise SystemExit("XENDIT_SIM_RETRY_SCALE must be a number of 0 or more, such as 1/900 or 0.01")
    return scale


def _url(name: str, text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise SystemExit(f"{name} must be a URL that begins with http:// or https://")
    return text


def _token(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise SystemExit(
            "The callback token (XENDIT_SIM_CALLBACK_TOKEN) must be printable ASCII: it is sent in a header"
        )
    return text
