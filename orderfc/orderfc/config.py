"""The settings of orderfc, on top of those that every service reads."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from chassis.auth.limits import Rate
from chassis.config.addresses import Url
from chassis.config.declare import Days, Port, PositiveInt, setting
from chassis.config.settings import ServiceSettings


class Settings(ServiceSettings):
    """orderfc's own settings and defaults."""

    service: ClassVar[str] = "orderfc"
    unaudited: ClassVar[Mapping[str, Sequence[str]]] = {"orders": ["shipping_address"]}

    http_port: Port = setting("app.port", 28082)
    db_port: Port = setting("database.port", 5435)
    db_name: str = setting("database.name", "orderfc")

    product_host: Url = setting("product.host", "http://localhost:28081", pattern="^https?://[^/]+/?$")
    product_timeout_s: float = setting("product.timeout_s", 2.0, gt=0, le=10)
    product_concurrency: PositiveInt = setting("product.concurrency", 64)
    idempotency_lease_s: int = setting("idempotency.lease_s", 30, ge=20, le=86_400)
    checkout_limit_per_user: Rate = setting("limits.checkout_per_user", "60/minute")
    max_open_orders_per_user: PositiveInt = setting("limits.open_orders_per_user", 100)
    idempotency_keep_hours: int = setting("idempotency.keep_hours", 48, ge=24, le=876_000)
    order_address_keep_days: Days = setting("retention.order_address_days", 3650)

    def plaintext(self) -> Iterator[tuple[str, str]]:
        """Yield also a productfc without TLS, because its answer decides prices."""
        yield from super().plaintext()
        if not self.product_host.startswith("https://"):
            yield "product_host", "must begin with https://"
