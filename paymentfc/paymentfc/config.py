"""The settings of paymentfc, on top of what every service has."""

import os
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from chassis.config.declare import PositiveInt, setting
from chassis.config.settings import ServiceSettings

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _ShutWebhook(PydanticBaseSettingsSource):
    """Comes before the development defaults, so that a webhook token that is set to nothing gets none of them.

    Elsewhere an empty variable counts as not given; here the published default would open what was to be shut.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        given = {name.lower(): value for name, value in os.environ.items()}
        production = self.current_state.get("environment") == "production"
        shut = given.get("xendit_webhook_token") == "" and not production
        return {"xendit_webhook_token": ""} if shut else {}


class Settings(ServiceSettings):
    """What paymentfc can be told; intervals and durations are in seconds."""

    service: ClassVar[str] = "paymentfc"

    http_port: Annotated[int, Field(ge=1, le=65535)] = setting("app.port", 28083)
    db_port: Annotated[int, Field(ge=1, le=65535)] = setting("database.port", 5436)
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
        cls, settings_cls: type[BaseSettings], *given: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put one source more in front of the last, which has the development defaults."""
        *sources, development = super().settings_customise_sources(settings_cls, *given, **named)
        return *sources, _ShutWebhook(settings_cls), development
