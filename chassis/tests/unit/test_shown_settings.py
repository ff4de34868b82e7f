"""The settings that a process shows to an administrator."""

from typing import Any

from chassis.admin.inside import shown_settings
from userfc.config import Settings


def test_settings_are_shown_without_the_credentials_in_addresses_and_without_whom_they_name() -> None:
    given: dict[str, Any] = {
        "otel_exporter_otlp_endpoint": "https://ann:pass@word@collector:4318/v1?at=a@b",
        "vault_addr": "https://bob:hidden@vault:8200",
        "vault_role_id": "a-role-of-vault",
        "admin_email": "root@example.com",
    }
    shown = shown_settings(Settings.model_construct(**given))
    assert shown["otel_exporter_otlp_endpoint"] == "https://collector:4318/v1?at=a@b"
    assert shown["vault_addr"] == "https://vault:8200"
    assert shown.keys() & {"vault_role_id", "admin_email"} == set()
    assert shown["http_port"] == Settings.model_fields["http_port"].default
