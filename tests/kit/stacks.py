"""A stack for tests: how it is started and removed, and the secrets of its services."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from chassis.config.settings import load
from fc.stack.local import Stack
from fc.stack.programs import settings_class
from tests.kit import log_lines

SECRETS = {
    name: f"{name.lower().replace('_', '-')}-{secrets.token_hex(24)}"
    for name in ("JWT_SECRET", "GRPC_CREDENTIALS", "XENDIT_SECRET_API_KEY", "XENDIT_WEBHOOK_TOKEN", "ADMIN_PASSWORD")
}
"""The secrets of this session's stack; a test looks for them in places that must not hold them."""


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Start a stack for the block; stop and remove it afterwards.

    Raises AssertionError for a line of its logs that is not as docs/logs.schema.json says.
    """
    stack.up()
    try:
        yield stack
    finally:
        stack.down()
        bad = list(log_lines.faults(log_lines.of_stack(stack.layout)))
        stack.wipe()
    log_lines.refuse(bad)


def secret_of(stack: Stack, service: str, name: str) -> str:
    """Return the value that a service of the stack uses for a secret setting."""
    value = stack.programs.environment(service).get(name.upper())
    return value or str(getattr(load(settings_class(service)), name).get_secret_value())
