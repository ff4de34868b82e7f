"""The settings of paymentfc, on top of those that every service reads."""

import os
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from chassis.config.declare import Port, PositiveInt, setting
from chassis.config.settings import ServiceSettings
from chassis.config.sources import Source

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _EmptyWebhookToken(Source):
    """Keeps a webhook token that the environment sets to "", instead of the development default.

    For other settings an empty variable means that it is not set. Here the development default, which is published,
    would accept callbacks that were to be refused.
    """

    def values(self) -> dict[str, Any]:
        variables = {name.lower(): value for name, value in os.environ.items()}
        production = self.current_state.get("environment") == "production"
        empty = variables.get("xendit_webhook_token") == "" and not production
        return {"xendit_webhook_token": ""} if empty else {}

    def __call__(self) -> dict[str, Any]:
        return self.values()


class Settings(ServiceSettings):
    """paymentfc's own settings and defaults; intervals and durations are in seconds."""

    service: ClassVar[str] = "paymentfc"

    http_port: Port = setting("app.port", 28083)
    db_port: Port = setting("database.port", 5436)
    db_name: str = setting("database.name", "paymentfc")

    mongo_uri: SecretStr = setting("mongo.uri", dev="mongodb://localhost:27017", secret=False)

    xendit_base_url: str = setting("xendit.base_url", "https://api.xendit.co", pattern="^https?://")
    xendit_secret_api_key: SecretStr = setting("xendit.secret_api_key", dev="xnd_development_local", secret=True)
    xendit_webhook_token: SecretStr = setting("xendit.webhook_token", dev="development-webhook-token", secret=True)
    invoice_duration_s: Annotated[int, Field(ge=1, le=31_536_000)] = setting("xendit.invoice_duration_s", 86_400)

    disable_create_invoice_directly: bool = setting("toggle.disable_create_invoice_directly", False)

    scheduler_pending_interval_s: Seconds = setting("scheduler.pending_interval_s", 2)
    scheduler_retry_interval_s: Seconds = setting("scheduler.retry_interval_s", 5)
    scheduler_expiry_interval_s: Seconds = setting("scheduler.expiry_interval_s", 10)
    scheduler_status_interval_s: Seconds = setting("scheduler.status_interval_s", 60)
    scheduler_status_min_age_s: Seconds = setting("scheduler.status_min_age_s", 60)

    payment_retry_backoff_s: Seconds = setting("payment.retry_backoff_s", 2)
    payment_max_tries: PositiveInt = setting("payment.max_tries", 4)
    invoice_give_up_s: Seconds = setting("payment.invoice_give_up_s", 900)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Insert one source before the last, which has the development defaults."""
        *others, development = super().settings_customise_sources(settings_cls, *sources, **named)
        return *others, _EmptyWebhookToken(settings_cls), development
