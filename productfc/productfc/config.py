"""The settings of productfc, on top of those that every service reads."""

from typing import ClassVar

from chassis.config.declare import setting
from chassis.config.settings import ServiceSettings


class Settings(ServiceSettings):
    """productfc's own defaults."""

    service: ClassVar[str] = "productfc"

    http_port: int = setting("app.port", 28081, ge=1, le=65535)
    db_port: int = setting("database.port", 5434, ge=1, le=65535)
    db_name: str = setting("database.name", "productfc")
