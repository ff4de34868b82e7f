"""Runs the simulator: `python -m xendit_sim`."""

import sqlite3

import uvicorn

from xendit_sim import logs
from xendit_sim.app import create_app
from xendit_sim.clock import clock_of
from xendit_sim.config import Settings


def main() -> None:
    """Serve until a signal; every setting is an environment variable (see README.md)."""
    settings = Settings.from_env()
    try:
        app = create_app(settings, clock=clock_of(settings.clock_file))
    except sqlite3.Error as error:
        raise SystemExit(f"XENDIT_SIM_DATA: {settings.data}: {error}") from None
    logs.setup()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
