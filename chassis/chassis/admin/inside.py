"""What a process of a service is doing, from memory: for the route that shows it."""

import os
import re
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chassis.config.declare import is_secret
from chassis.config.settings import ProcessSettings
from chassis.kafka.consumer import ConsumerRunner
from chassis.kafka.relay import Relay

# Half of a login, and the address of a person.
_PRIVATE = frozenset({"vault_role_id", "admin_email"})
_CREDENTIALS = re.compile(r"(?<=://)[^/?#]*@")


@dataclass(frozen=True, slots=True)
class Inside:
    """The parts of this process that can be looked at; a process without workers has neither consumer nor relay."""

    consumer: ConsumerRunner | None = None
    relay: Relay | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def instance(self) -> str:
        """The host and the process id."""
        return f"{socket.gethostname()}:{os.getpid()}"


def shown_settings(settings: ProcessSettings) -> dict[str, Any]:
    """Return the settings that are no secrets, as JSON values; addresses without the user and password in them."""
    fields = type(settings).model_fields.items()
    shown = {name for name, declared in fields if not is_secret(declared) and name not in _PRIVATE}
    values = settings.model_dump(mode="json", include=shown)
    return {name: _CREDENTIALS.sub("", value) if isinstance(value, str) else value for name, value in values.items()}
