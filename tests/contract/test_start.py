"""A service's start: what is not imported for it, and that all the rest is as in any other process."""

import json
import subprocess
import sys

import pytest

from chassis import startup
from fc.stack.layout import DEPLOYED, SERVICES
from openapi import documents

# Imported when they are used: by migrations, with Vault, with a collector of traces, where documents are served, and by
# the first call of Xendit.
LATER = (
    "aiohttp",
    "alembic",
    "grpc_reflection.v1alpha",
    "hvac",
    "opentelemetry.exporter",
    "requests",
    "sqlalchemy",
    "stamina",
)
# Imported by libraries, for what no service uses.
NEVER = ("cryptography", "email_validator", "opentelemetry.sdk.metrics", "psutil", "pydantic.v1", "rich", "zxcvbn")


def answer(program: str) -> str:
    """Run a program in a Python of its own, as a service is run, and return what it prints."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    return done.stdout.strip()


def starting(service: str, then: str) -> str:
    return answer(f"import json, sys; from chassis import startup; service = startup.imported({service!r}); {then}")


@pytest.mark.parametrize("service", DEPLOYED)
def test_a_start_imports_nothing_that_it_does_not_need(service: str) -> None:
    names = {*LATER, *NEVER}
    assert starting(service, f"print(*sorted({names!r} & set(sys.modules)))") == ""


def test_an_import_of_what_a_start_does_not_need_would_be_noticed() -> None:
    assert starting("userfc", "import stamina; print('stamina' in sys.modules)") == "True"


@pytest.mark.parametrize("name", startup.UNUSED)
def test_what_a_library_does_without_can_be_imported_afterwards(name: str) -> None:
    assert starting("userfc", f"import {name}; print({name}.__name__)") == name


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_was_started_so_has_the_same_document(service: str) -> None:
    settings = "from chassis.config.settings import load; settings = load(service.settings, environment='development')"
    made = starting(service, f"{settings}; print(json.dumps(service.application(settings).openapi()))")
    assert json.loads(made) == documents.document(service)


def test_modules_are_found_again_after_an_import_that_failed() -> None:
    program = f"""
import sys
from chassis import startup
try:
    startup.imported("nowhere")
except ModuleNotFoundError:
    print("failed", *({set(startup.UNUSED)!r} & sys.modules.keys()))
"""
    assert answer(program) == "failed"
