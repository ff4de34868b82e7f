"""The settings of productfc, on top of those that every service reads."""

from typing import ClassVar

from chassis.config.declare import Port, setting
from chassis.config.settings import ServiceSettings


class Settings(ServiceSettings):
    """The defaults of productfc."""

    service: ClassVar[str] = "productfc"

    http_port: Port = setting("app.port", 28081)
    db_port: Port = setting("database.port", 5434)
    db_name: str = setting("database.name", "productfc")
