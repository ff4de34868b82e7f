"""The settings of the console: those of a process, and where the four services are."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic_settings import SettingsConfigDict

from chassis.config.addresses import Url
from chassis.config.declare import Port, setting
from chassis.config.settings import ProcessSettings


class Settings(ProcessSettings):
    """It has no database: there is no DB_* setting."""

    model_config = SettingsConfigDict(defer_build=True)

    service: ClassVar[str] = "console"

    http_port: Port = setting("app.port", 28084)
    user_host: Url = setting("user.host", "http://localhost:28080")
    product_host: Url = setting("product.host", "http://localhost:28081")
    order_host: Url = setting("order.host", "http://localhost:28082")
    payment_host: Url = setting("payment.host", "http://localhost:28083")
    user_management_host: Url | None = setting("user.management_host", None)
    product_management_host: Url | None = setting("product.management_host", None)
    order_management_host: Url | None = setting("order.management_host", None)
    payment_management_host: Url | None = setting("payment.management_host", None)
    traces_url: Url | None = setting("traces.url", None)
    logs_url: Url | None = setting("logs.url", None)
    logs_kind: Literal["victorialogs", "loki"] = setting("logs.kind", "victorialogs")
    logs_dir: str | None = setting("logs.dir", None)
    simulator_url: Url | None = setting("simulator.url", None, dev="http://localhost:28090")

    def urls(self) -> dict[str, str]:
        """Return the address of each service."""
        return {
            "userfc": self.user_host,
            "productfc": self.product_host,
            "orderfc": self.order_host,
            "paymentfc": self.payment_host,
        }

    def management_urls(self) -> dict[str, str]:
        """Return the address at which each service shows its metrics: its own, unless it has a port for them."""
        return self.urls() | {
            service: url
            for service, url in {
                "userfc": self.user_management_host,
                "productfc": self.product_management_host,
                "orderfc": self.order_management_host,
                "paymentfc": self.payment_management_host,
            }.items()
            if url
        }

    def plaintext(self) -> Iterator[tuple[str, str]]:
        """Yield also services without TLS, which are sent passwords and tokens, and stores of spans and lines."""
        yield from super().plaintext()
        for name in ("user_host", "product_host", "order_host", "payment_host", "traces_url", "logs_url"):
            url = getattr(self, name)
            if url is not None and not url.startswith("https://"):
                yield name, "must begin with https://"
