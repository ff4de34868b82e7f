"""What production refuses, as one table over the settings of all services."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from chassis.config.declare import declaration
from chassis.config.production import PUBLISHED
from chassis.config.settings import load
from fc.stack.layout import DEPLOYED, SERVICES
from testkit.production import PLAINTEXT, SECRETS, with_tls
from tests.contract.test_env_example import CLASSES, EXAMPLE, entries, names_of

if TYPE_CHECKING:
    from testkit.certificates import Certificates

DEFAULT = "is the development default"
FEW = "must have at least 10 different characters"
PUBLIC = "is not a public address"
UNLESS = "in production, unless ALLOW_PLAINTEXT=true"

# Setting, value, what the refusal says.
REFUSED = [
    ("DB_SSLMODE", "disable", f"must be verify-full {UNLESS}"),
    ("DB_SSLMODE", "prefer", f"must be verify-full {UNLESS}"),
    ("DB_SSLMODE", "require", f"must be verify-full {UNLESS}"),
    ("DB_SSLMODE", "verify-ca", f"must be verify-full {UNLESS}"),
    ("DB_SSLMODE", "", f"must be verify-full {UNLESS}"),
    ("REDIS_TLS", "false", f"must be true {UNLESS}"),
    ("REDIS_TLS", "", f"must be true {UNLESS}"),
    ("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT", f"must be SSL or SASL_SSL {UNLESS}"),
    ("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT", f"must be SSL or SASL_SSL {UNLESS}"),
    ("KAFKA_SECURITY_PROTOCOL", "", f"must be SSL or SASL_SSL {UNLESS}"),
    ("KAFKA_SASL_USERNAME", "", "is missing, and KAFKA_SECURITY_PROTOCOL needs it"),
    ("KAFKA_SASL_PASSWORD", "", "is missing, and KAFKA_SECURITY_PROTOCOL needs it"),
    ("GRPC_TLS_CERT", "", "is missing, and the other two of GRPC_TLS_* need it"),
    ("GRPC_TLS_KEY", "", "is missing, and the other two of GRPC_TLS_* need it"),
    ("GRPC_TLS_CA", "", "is missing, and the other two of GRPC_TLS_* need it"),
    ("GRPC_TLS_CERT", "/nowhere/cert.pem", "should be a readable file (No such file or directory)"),
    ("GRPC_TLS_KEY", os.devnull, "should be a file in PEM format"),
    ("GRPC_TLS_CA", os.devnull, "should be a file of certificates in PEM format"),
    ("DB_SSLROOTCERT", "/nowhere/ca.pem", "should be a file of certificates in PEM format (No such file or directory)"),
    ("REDIS_CAFILE", "/nowhere/ca.pem", "should be a file of certificates in PEM format (No such file or directory)"),
    ("KAFKA_SSL_CAFILE", "/nowhere/ca.pem", "should be a file of certificates in PEM format"),
    ("VAULT_ADDR", "http://vault.example.com", "must begin with https://"),
    ("VAULT_ADDR", "vault.example.com", "must begin with https://"),
    ("FAILPOINTS", "relay.after_send=kill@1", "is refused in production"),
    ("TRUSTED_PROXIES", "0.0.0.0/0", "trusts everybody's X-Forwarded-For"),
    ("TRUSTED_PROXIES", "10.0.0.0/8,::/0", "trusts everybody's X-Forwarded-For"),
    ("TRUSTED_PROXIES", "0.0.0.0/1,128.0.0.0/1", "trusts everybody's X-Forwarded-For"),
    ("TRUSTED_PROXIES", "2000::/3", "trusts everybody's X-Forwarded-For"),
    ("TRUSTED_PROXIES", "::ffff:0:0/96", "trusts everybody's X-Forwarded-For"),
    ("PRODUCT_HOST", "http://products.example.com", f"must begin with https:// {UNLESS}"),
    ("PRODUCT_HOST", "", f"must begin with https:// {UNLESS}"),
    *(
        (f"{name}_HOST", "http://x.example.com", f"must begin with https:// {UNLESS}")
        for name in ("USER", "ORDER", "PAYMENT")
    ),
    ("TRACES_URL", "http://traces.example.com", f"must begin with https:// {UNLESS}"),
    ("LOGS_URL", "http://logs.example.com", f"must begin with https:// {UNLESS}"),
    ("MONGO_URI", "mongodb://localhost:27017", DEFAULT),
    ("MONGO_URI", " mongodb://localhost:27017 ", DEFAULT),
    ("MONGO_URI", "mongodb://audit.example.com", f"must have tls=true and check certificates {UNLESS}"),
    ("MONGO_URI", "mongodb://audit.example.com/?tls=false", f"must have tls=true and check certificates {UNLESS}"),
    ("MONGO_URI", "mongodb+srv://audit.example.com/?TLS=false", f"must have tls=true and check certificates {UNLESS}"),
    ("MONGO_URI", "mongodb://audit.example.com/?tls=true&tlsInsecure=true", "must have tls=true and check cert"),
    ("MONGO_URI", "mongodb://a.example.com/?ssl=true&tlsAllowInvalidHostnames=true", "must have tls=true and check"),
    ("MONGO_URI", "mongodb://admin:admin@audit.example.com/?tls=true", f"its password {DEFAULT}"),
    ("MONGO_URI", "mongodb://audit:short@a.example.com,b.example.com:27017/?tls=true", "its password must be at least"),
    ("MONGO_URI", "audit.example.com", "should begin with mongodb://"),
    ("XENDIT_BASE_URL", "http://api.xendit.co", "must begin with https://"),
    ("XENDIT_BASE_URL", "http://xendit-simulator:28090", "must begin with https://"),
    *(
        ("XENDIT_BASE_URL", f"https://{host}", PUBLIC)
        for host in (
            "localhost",
            "localhost.",
            "xendit.localhost",
            "xendit-simulator:28090",
            "xendit.internal",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "[::1]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "api.xendit.co@127.0.0.1",
        )
    ),
]
ACCEPTED = [
    ("DB_SSLROOTCERT", ""),
    ("REDIS_CAFILE", ""),
    ("KAFKA_SSL_CAFILE", ""),
    ("KAFKA_SECURITY_PROTOCOL", "SSL"),
    ("VAULT_ADDR", ""),
    ("TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8,192.0.2.1,2001:db8::/32"),
    ("MONGO_URI", "mongodb+srv://audit.example.com"),
    ("MONGO_URI", "mongodb://audit:along%20password%2C0123@a.example.com,b.example.com/?tls=true&replicaSet=rs0"),
    ("XENDIT_BASE_URL", "https://api.xendit.co"),
    ("XENDIT_BASE_URL", "https://8.8.8.8"),
]
# Endings of names that hold an address or decide on TLS: each such setting has a row above.
JUDGED = ("_ADDR", "_URI", "_URL", "_TLS", "_SSLMODE", "_PROTOCOL", "_CERT", "_KEY", "_CA", "_CAFILE", "_SSLROOTCERT")
# A host and port: TLS on the way to it is another setting. The lab, which uses the simulator, is not in production.
NOT_JUDGED = {"USER_SERVICE_ADDR", "SIMULATOR_URL"}


@pytest.fixture(scope="module")
def environment(certificates: "Certificates") -> dict[str, str]:
    """Everything that production requires, with TLS."""
    return with_tls(certificates)


def refusal(service: str, environment: dict[str, str]) -> str:
    """Return the line with which a service refuses this environment, "" when it starts."""
    given = {"CONFIG_FILE": os.devnull, **environment}
    with mock.patch.dict(os.environ, given, clear=True), mock.patch("chassis.config.vault.read", return_value={}):
        try:
            load(CLASSES[service])
        except SystemExit as refused:
            return str(refused)
    return ""


def secrets_of(service: str) -> list[str]:
    """Return the names of a service's secrets."""
    return [name.upper() for name, field in CLASSES[service].model_fields.items() if declaration(field).secret]


def weak_values() -> Iterator[tuple[str, str]]:
    """Yield values that no secret may have, and what is said of them."""
    published = {entry.value for entry in entries(EXAMPLE) if _is_secret_name(entry.name)} | PUBLISHED
    for value in sorted(published):
        for written in (value, f" {value}", f"{value} \t", value.upper()):
            yield written, DEFAULT
    yield "development-jwt-secret-change-me-0123456789!", "contains the development default"
    yield "x", "must be at least"
    yield " " * 40 + "abcdefghijk", "must be at least"
    yield "0123456789abcde", "must be at least"
    yield "ab" * 30, FEW
    yield "123456789" * 8, FEW


def _is_secret_name(name: str) -> bool:
    return any(name in secrets_of(service) for service in DEPLOYED) or name.startswith("XENDIT_SIM_CALLBACK_TOKEN")


@pytest.mark.parametrize("service", DEPLOYED)
def test_a_service_starts_with_tls_and_with_leave_to_do_without(service: str, environment: dict[str, str]) -> None:
    assert refusal(service, environment) == ""
    assert refusal(service, dict(PLAINTEXT)) == ""


@pytest.mark.parametrize("service", DEPLOYED)
def test_production_refuses_weak_and_published_secrets_by_name(service: str, environment: dict[str, str]) -> None:
    for name in secrets_of(service):
        for value, says in weak_values():
            line = refusal(service, {**environment, name: value})
            assert line.startswith(f"{service}: setting {name}: "), (name, value, line)
            # These two have a stricter rule in every environment.
            assert says in line or name in ("JWT_SECRET", "ADMIN_PASSWORD"), (name, value, line)
            assert value.strip() not in line.removeprefix(f"{service}: setting {name}: ") or len(value) == 1
        assert refusal(service, {**environment, name: "a long enough secret"}) == "" or name == "JWT_SECRET"


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", ["DB_PASSWORD", "REDIS_PASSWORD", "JWT_SECRET", "GRPC_CREDENTIALS"])
def test_production_refuses_a_missing_secret_by_name(service: str, name: str, environment: dict[str, str]) -> None:
    for given in ({**environment, name: ""}, {key: value for key, value in environment.items() if key != name}):
        assert refusal(service, given) == f"{service}: setting {name}: is missing"


@pytest.mark.parametrize(("name", "value", "says"), REFUSED)
def test_production_refuses_by_name(name: str, value: str, says: str, environment: dict[str, str]) -> None:
    services = [service for service in DEPLOYED if name in names_of(CLASSES[service])]
    assert services
    for service in services:
        line = refusal(service, {**environment, name: value})
        assert f"setting {name}: " in line
        assert says in line.partition(f"setting {name}: ")[2]
        assert "\n" not in line


@pytest.mark.parametrize(("name", "value"), ACCEPTED)
def test_production_accepts(name: str, value: str, environment: dict[str, str]) -> None:
    for service in DEPLOYED:
        assert refusal(service, {**environment, name: value}) == ""


@pytest.mark.parametrize("service", DEPLOYED)
def test_grpc_without_tls_needs_leave(service: str, environment: dict[str, str]) -> None:
    without = {name: value for name, value in environment.items() if not name.startswith("GRPC_TLS_")}
    assert refusal(service, without).startswith(f"{service}: setting GRPC_TLS_CERT: must be set")
    assert refusal(service, {**without, "ALLOW_PLAINTEXT": "true"}) == ""


@pytest.mark.parametrize("service", DEPLOYED)
def test_leave_to_do_without_tls_excuses_nothing_else(service: str) -> None:
    for name, value in (("VAULT_ADDR", "http://vault:8200"), ("REDIS_PASSWORD", "admin")):
        assert f"setting {name}: " in refusal(service, {**PLAINTEXT, name: value})
    if service == "paymentfc":
        assert "setting XENDIT_BASE_URL: " in refusal(service, {**PLAINTEXT, "XENDIT_BASE_URL": "http://xendit:80"})


def test_all_that_is_wrong_is_named_in_one_line(environment: dict[str, str]) -> None:
    line = refusal("userfc", {**environment, "DB_PASSWORD": "admin", "REDIS_TLS": "", "FAILPOINTS": "x=kill"})
    assert line == (
        f"userfc: setting DB_PASSWORD: {DEFAULT}, which production refuses; "
        f"setting REDIS_TLS: must be true {UNLESS}; "
        "setting FAILPOINTS: is refused in production"
    )


def test_no_refusal_shows_a_secret(environment: dict[str, str]) -> None:
    for name in SECRETS:
        assert "hush-hush" not in refusal("paymentfc", {**environment, name: "hush-hush"})


def test_every_setting_with_an_address_or_a_certificate_is_judged() -> None:
    judged = {name for name, *_ in REFUSED} | NOT_JUDGED
    for service in DEPLOYED:
        secrets = set(secrets_of(service))
        names = {name.upper() for name in CLASSES[service].model_fields} - secrets
        assert {name for name in names if name.endswith(JUDGED)} <= judged


@pytest.mark.parametrize("service", DEPLOYED)
def test_development_refuses_nothing_of_it(service: str) -> None:
    published = {entry.name: entry.value for entry in entries(EXAMPLE) if entry.active}
    assert refusal(service, published) == ""


def test_the_example_shows_no_secret_that_production_would_accept(tmp_path: Path) -> None:
    shown = {entry.value for entry in entries(EXAMPLE) if _is_secret_name(entry.name)}
    assert {value for value in shown if value and value.casefold() not in PUBLISHED} == set()
