"""The settings of paymentfc, on top of those that every service reads."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from chassis.config import mongo, production
from chassis.config.addresses import Url
from chassis.config.declare import Days, Port, PositiveInt, Seconds, setting
from chassis.config.mongo import MongoUri
from chassis.config.settings import ServiceSettings
from chassis.config.sources import Source


class _EmptyWebhookToken(Source):
    """Keeps a webhook token that the environment sets to "", instead of the development default.

    For other settings an empty variable means that it is not set. Here the development default, which is published,
    would accept callbacks that were to be refused.
    """

    def values(self) -> dict[str, Any]:
        variables = {name.lower(): value for name, value in os.environ.items()}
        empty = variables.get("xendit_webhook_token") == "" and self.in_development
        return {"xendit_webhook_token": ""} if empty else {}

    def __call__(self) -> dict[str, Any]:
        return self.values()


class Settings(ServiceSettings):
    """paymentfc's own settings and defaults; intervals and durations are in seconds."""

    service: ClassVar[str] = "paymentfc"
    unaudited: ClassVar[Mapping[str, Sequence[str]]] = {
        "payments": ["user_email", "shipping_address"],
        "payment_callbacks": ["body"],
        "refund_callbacks": ["body"],
    }

    http_port: Port = setting("app.port", 28083)
    db_port: Port = setting("database.port", 5436)
    db_name: str = setting("database.name", "paymentfc")

    mongo_uri: MongoUri = setting("mongo.uri", dev="mongodb://localhost:27017", secret=False)

    xendit_base_url: Url = setting("xendit.base_url", "https://api.xendit.co", pattern="^https?://")
    xendit_secret_api_key: SecretStr = setting("xendit.secret_api_key", dev="xnd_development_local", secret=True)
    xendit_webhook_token: SecretStr = setting("xendit.webhook_token", dev="development-webhook-token", secret=True)
    xendit_confirm_payments: bool = setting("xendit.confirm_payments", True)
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

    refund_mode: Literal["manual", "automatic"] = setting("refund.mode", "manual")
    refund_poll_interval_s: Seconds = setting("refund.poll_interval_s", 60)

    pdf_timeout_s: Seconds = setting("pdf.timeout_s", 10)
    pdf_max_queue: PositiveInt = setting("pdf.max_queue", 32)
    pdf_cache_bytes: PositiveInt = setting("pdf.cache_bytes", 8_388_608)

    payment_request_keep_days: Days = setting("retention.payment_request_days", 30)
    invoice_closing_keep_days: Days = setting("retention.invoice_closing_days", 90)
    callback_body_keep_days: Days = setting("retention.callback_body_days", 90)
    failed_event_keep_days: Days = setting("retention.failed_event_days", 90)
    payment_person_keep_days: Days = setting("retention.payment_person_days", 3650)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Insert one source before the last, which has the development defaults."""
        *others, development = super().settings_customise_sources(settings_cls, *sources, **named)
        return *others, _EmptyWebhookToken(settings_cls), development

    def refusals(self) -> Iterator[tuple[str, str]]:
        """Yield also a Xendit that is not the real one, and a weak password in MONGO_URI."""
        yield from super().refusals()
        if problem := production.gateway_problem(self.xendit_base_url):
            yield "xendit_base_url", problem
        yield from mongo.refusals(self.mongo_uri)

    def plaintext(self) -> Iterator[tuple[str, str]]:
        """Yield also a MongoDB without TLS."""
        yield from super().plaintext()
        yield from mongo.plaintext(self.mongo_uri)
