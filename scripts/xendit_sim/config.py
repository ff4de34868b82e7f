"""The simulator's settings, all from environment variables with values that suit the local stack."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Self


@dataclass(frozen=True)
class Settings:
    """Where to listen, what callers must know, where callbacks go.

    `retry_scale` is how long a simulated second lasts, in real seconds; `data` is a SQLite file, None keeps all in
    memory.
    """

    host: str = "127.0.0.1"
    port: int = 28090
    key: str = "xnd_development_local"
    callback_url: str = "http://localhost:28083/v1/payments/xendit/webhook"
    callback_token: str = "development-webhook-token"  # noqa: S105 - the development default of the specification
    data: str | None = None
    public_url: str = "http://localhost:28090"
    retry_scale: float = 1 / 900

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read the environment; an empty variable counts as unset. Raises SystemExit naming a malformed one."""

        def text(default: str, *names: str) -> str:
            return next((value for name in names if (value := env.get(name, "").strip())), default)

        try:
            port = int(text(str(cls.port), "XENDIT_SIM_PORT"))
        except ValueError:
            raise SystemExit("XENDIT_SIM_PORT must be a port number") from None
        try:
            scale = float(Fraction(text("1/900", "XENDIT_SIM_RETRY_SCALE")))
        except (ValueError, ZeroDivisionError):
            raise SystemExit("XENDIT_SIM_RETRY_SCALE must be a number such as 1/900 or 0.01") from None
        if scale < 0:
            raise SystemExit("XENDIT_SIM_RETRY_SCALE must not be negative")
        return cls(
            host=text(cls.host, "XENDIT_SIM_HOST"),
            port=port,
            key=text(cls.key, "XENDIT_SIM_KEY", "XENDIT_SECRET_API_KEY"),
            callback_url=text(cls.callback_url, "XENDIT_SIM_CALLBACK_URL"),
            callback_token=text(cls.callback_token, "XENDIT_SIM_CALLBACK_TOKEN", "XENDIT_WEBHOOK_TOKEN"),
            data=text("", "XENDIT_SIM_DATA") or None,
            public_url=text(f"http://localhost:{port}", "XENDIT_SIM_PUBLIC_URL").rstrip("/"),
            retry_scale=scale,
        )
