"""What a process of a service is doing, from memory: for the route that shows it."""

import os
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chassis.config.declare import is_secret
from chassis.config.settings import ProcessSettings
from chassis.kafka.consumer import ConsumerRunner
from chassis.kafka.relay import Relay


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
    """Return the settings that are no secrets, as JSON values."""
    shown = {name for name, declared in type(settings).model_fields.items() if not is_secret(declared)}
    return settings.model_dump(mode="json", include=shown)
