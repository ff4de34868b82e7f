"""Rules of the contract that no request can show: defaults of settings, codes, names, and the README."""

import os
import re
from pathlib import Path
from unittest import mock

import pytest

from chassis.config.settings import load
from fc.stack.layout import SERVICES
from fc.stack.programs import settings_class
from paymentfc.repository.audit import AuditEvent

ROOT = Path(__file__).parents[2]
DEFAULTS: dict[str, object] = {
    "SCHEDULER_PENDING_INTERVAL_S": 2,
    "SCHEDULER_RETRY_INTERVAL_S": 5,
    "PAYMENT_RETRY_BACKOFF_S": 2,
    "PAYMENT_MAX_TRIES": 4,
    "SCHEDULER_EXPIRY_INTERVAL_S": 10,
    "SCHEDULER_STATUS_INTERVAL_S": 60,
    "SCHEDULER_STATUS_MIN_AGE_S": 60,
    "INVOICE_DURATION_S": 86_400,
    "CURRENCY": "IDR",
    "INVOICE_GIVE_UP_S": 900,
    "LOGIN_LIMIT_PER_ADDRESS": "60/minute",
    "LOGIN_LIMIT_PER_ACCOUNT": "10/minute",
    "REGISTER_LIMIT_PER_ADDRESS": "60/minute",
    "TRUSTED_PROXIES": (),
    "OUTBOX_MAX_TRIES": 12,
    "CONSUMER_MAX_TRIES": 5,
    "KAFKA_PARTITIONS": 6,
    "KAFKA_REPLICATION": 1,
    "SHUTDOWN_TIMEOUT_S": 20,
    "DISABLE_CREATE_INVOICE_DIRECTLY": False,
    "XENDIT_BASE_URL": "https://api.xendit.co",
    "IDEMPOTENCY_KEEP_HOURS": 48,
}
CODES = (
    "validation_failed unauthenticated invalid_token forbidden not_found insufficient_stock price_mismatch "
    "request_in_progress idempotency_key_reused rate_limited payload_too_large unavailable"
)


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_defaults_of_the_contract_are_those_of_every_service_that_has_the_setting(name: str) -> None:
    with mock.patch.dict(os.environ, {"ENVIRONMENT": "development"}, clear=True):
        settings = [load(settings_class(service)) for service in SERVICES]
    found = [getattr(given, name.lower()) for given in settings if name.lower() in type(given).model_fields]
    assert found
    assert [value == DEFAULTS[name] for value in found] == [True] * len(found), found


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_is_not_told_otherwise_is_in_production(service: str) -> None:
    with mock.patch.dict(os.environ, clear=True), pytest.raises(SystemExit, match="setting JWT_SECRET: is missing"):
        load(settings_class(service))


def test_the_codes_of_the_contract_are_in_the_table_of_codes() -> None:
    table = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    assert set(CODES.split()) <= set(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE))


def test_the_audit_events_are_those_of_the_contract() -> None:
    assert {event.value for event in AuditEvent} == {
        "payment.created",
        "invoice.created",
        "payment.paid",
        "payment.failed",
        "payment.expired",
        "payment.retried",
        "payment.anomaly",
        "refund.due",
        "refund.requested",
        "refund.succeeded",
        "refund.failed",
        "refund.settled",
        "event.published",
        "admin.anomaly_resolved",
        "admin.event_retried",
    }


def test_the_readme_says_that_zookeepers_port_has_no_successor() -> None:
    [sentence] = re.findall(r"[^.\n]*22181[^.\n]*\.", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert "no ZooKeeper" in sentence
    assert "no successor" in sentence
