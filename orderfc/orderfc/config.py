"""The settings of orderfc, on top of those that every service reads."""

from typing import ClassVar

from chassis.config.declare import Port, setting
from chassis.config.settings import ServiceSettings


class Settings(ServiceSettings):
    """orderfc's own settings and defaults."""

    service: ClassVar[str] = "orderfc"

    http_port: Port = setting("app.port", 28082)
    db_port: Port = setting("database.port", 5435)
    db_name: str = setting("database.name", "orderfc")

    product_host: str = setting("product.host", "http://localhost:28081", pattern="^https?://[^/]+/?$")
    product_timeout_s: float = setting("product.timeout_s", 2.0, gt=0, le=10)
    product_concurrency: int = setting("product.concurrency", 64, ge=1)
    idempotency_lease_s: int = setting("idempotency.lease_s", 30, ge=20)
    idempotency_keep_hours: int = setting("idempotency.keep_hours", 48, ge=24)
