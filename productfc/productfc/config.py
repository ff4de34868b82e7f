"""The settings of productfc, on top of those that every service reads."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from chassis.config.declare import Port, setting
from chassis.config.settings import ServiceSettings


class Settings(ServiceSettings):
    """The defaults of productfc."""

    service: ClassVar[str] = "productfc"
    unaudited: ClassVar[Mapping[str, Sequence[str]]] = {"admin_actions": ["admin_email", "address"]}

    http_port: Port = setting("app.port", 28081)
    db_port: Port = setting("database.port", 5434)
    db_name: str = setting("database.name", "productfc")
    # The table refuses to delete what is younger than 30 days.
    admin_action_keep_days: int = setting("retention.admin_action_days", 365, ge=30, le=36_500)
