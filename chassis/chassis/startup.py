"""Runs a service's command line without the imports and models that its start does not need.

A start is CPU time, most of it imports (ADR 27).
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chassis.service import Service

# Optional imports of libraries: they work without them, and no service uses the features behind them.
UNUSED = (
    "cryptography",  # PyJWT: other algorithms than HS256
    "email_validator",  # FastAPI: one field of its model of a document
    "opentelemetry.sdk.metrics",  # redis-py: metrics of its own
    "psutil",  # OpenTelemetry: attributes of the process
    "pydantic.v1",  # FastAPI: the refusal of models of that version
    "rich",  # structlog: tracebacks in colour
)


def run(package: str) -> None:
    """Run the command that the command line names, as `chassis.service.run_cli` does, for the service in `package`."""
    # What a start makes is kept. Collection is switched on when the service's parts, or another command, run.
    gc.disable()
    service = imported(package)
    from chassis.service import run_cli

    run_cli(service)


def imported(package: str) -> "Service":
    """Return the `SERVICE` of a package."""
    # Else pydantic reads the metadata of every installed package for plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    with _without(UNUSED):
        _import_fastapi()
        service: Service = import_module(f"{package}.app").SERVICE
    return service


def _import_fastapi() -> None:
    """Import FastAPI's models of an OpenAPI document so that they are built at their first use, for `/docs`."""
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True
    try:
        import_module("fastapi.openapi.models")
    finally:
        del BaseModel.model_config["defer_build"]


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    """Make these imports fail inside the block. They work again after it."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # makes Python raise ModuleNotFoundError
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
