"""The auditor's program: with roles that may only read, and with its own settings."""

import json
import os
import subprocess
import sys
from typing import Any

import asyncpg
import pytest

from chassis.config.connections import audit_role
from chassis.config.settings import load
from chassis.db import migrations
from chassis.kafka.topics import topic_differences
from console.client.audit_reports import AuditReports
from console.model import saga
from console.model.audits import TOPIC
from contracts import topics
from fc.audit.settings import Settings
from fc.platform.stores import Stores
from fc.stack.programs import settings_class
from testkit.certificates import Certificates
from testkit.production import SECRETS

from .conftest import new_sample
from .spoil import order
from .world import World

PASSWORD = "of the auditor ' $1"


@pytest.fixture
async def given(
    world: World, databases: dict[str, dict[str, Any]], kafka_broker: str, mongo_uri: str, redis_server: dict[str, Any]
) -> dict[str, str]:
    """The environment of the auditor for the databases of the test, each with its role."""
    for service, database in databases.items():
        # A role that an earlier test has made keeps its password.
        await migrations.run(load(settings_class(service), **database, db_audit_password=PASSWORD), service)
    upper = {service.upper(): one for service, one in databases.items()}
    addresses = {f"{service}_DB_ADDR": f"{one['db_host']}:{one['db_port']}" for service, one in upper.items()}
    names = {f"{service}_DB_NAME": one["db_name"] for service, one in upper.items()}
    return {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "development",
        "DB_AUDIT_PASSWORD": PASSWORD,
        "KAFKA_BROKER": kafka_broker,
        "MONGO_URI": mongo_uri,
        **{name.upper(): str(value) for name, value in redis_server.items()},
        **addresses,
        **names,
    }


def run(given: dict[str, str]) -> tuple[int, list[dict[str, Any]]]:
    line = [sys.executable, "-m", "fc.audit"]
    done = subprocess.run(line, env=given, capture_output=True, text=True, timeout=90, check=False)
    assert done.stdout, done.stderr
    return done.returncode, [json.loads(each) for each in done.stdout.splitlines()]


async def test_an_audit_needs_only_to_read_and_its_report_is_on_the_topic(world: World, given: dict[str, str]) -> None:
    sound, spoiled = [new_sample("paid"), new_sample("expired")], new_sample("paid")
    await world.store(sound)
    code, [*findings, last] = run(given)
    # Kafka and MongoDB have what other tests have spoiled, too.
    orders = {one.order_id for one in sound}
    mine = [each for each in findings if each["level"] == "violation" and each["order_id"] in orders]
    assert (mine, last["summary"]["orders"], last["summary"]["unread"]) == ([], 2, {})
    assert (code == 1, last["summary"]["skipped"]) == (last["summary"]["violations"] > 0, ["xendit"])
    await world.store([spoiled])
    await order("total_qty = 4")(world, spoiled)
    code, [*findings, last] = run(given)
    assert code == 1
    assert ("order_quantity", spoiled.order_id) in {(each["rule"], each["order_id"]) for each in findings}
    newest, before, *_ = await AuditReports(bootstrap_servers=given["KAFKA_BROKER"]).runs()
    assert newest.summary["violations"] - before.summary["violations"] == 1
    settings = Stores({}, given["KAFKA_BROKER"]).brokers()
    assert await topic_differences(settings, [TOPIC]) == []


async def test_the_role_of_the_auditor_can_not_write(given: dict[str, str]) -> None:
    for service, address in load_in(given).stores().databases.items():
        assert address.user == audit_role(given[f"{service.upper()}_DB_NAME"])
        opened = await asyncpg.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            database=address.database,
        )
        try:
            for statement in ("DELETE FROM alembic_version", "CREATE TABLE made (id int)"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await opened.execute(statement)
        finally:
            await opened.close()


async def test_a_database_that_refuses_ends_with_2_and_one_line(given: dict[str, str]) -> None:
    code, [said] = run(given | {"DB_AUDIT_PASSWORD": "another one"})
    assert (code, said["summary"]["exit_code"]) == (2, 2)
    assert "password authentication failed" in said["summary"]["error"]


def load_in(given: dict[str, str]) -> Settings:
    """Read the settings from this environment alone."""
    patch = pytest.MonkeyPatch()
    try:
        for name in set(os.environ) - set(given):
            patch.delenv(name)
        for name, value in given.items():
            patch.setenv(name, value)
        return load(Settings)
    finally:
        patch.undo()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls") / "files", "kafka")


@pytest.fixture
def production(certificates: Certificates) -> dict[str, str]:
    return {
        "ENVIRONMENT": "production",
        "DB_AUDIT_PASSWORD": "a secret of production, 0123456789",
        "DB_SSLMODE": "verify-full",
        "DB_SSLROOTCERT": certificates.ca,
        "REDIS_PASSWORD": SECRETS["REDIS_PASSWORD"],
        "REDIS_HOST": "redis.example.com",
        "REDIS_TLS": "true",
        "REDIS_CAFILE": certificates.ca,
        "KAFKA_BROKER": "a.example.com:9093,b.example.com:9093",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": "auditor",
        "KAFKA_SASL_PASSWORD": "another secret of production, 0123",
        "KAFKA_SSL_CAFILE": certificates.ca,
        "ORDERFC_DB_ADDR": "orders.example.com:6432",
        "ORDERFC_DB_NAME": "orders",
        "MONGO_URI": "mongodb://audit.example.com/?tls=true",
        "XENDIT_BASE_URL": "https://api.xendit.co",
        "XENDIT_SECRET_API_KEY": "xnd_production_0123456789abcdef",
    }


def test_in_production_every_connection_is_encrypted_and_known(production: dict[str, str]) -> None:
    stores = load_in(production).stores()
    client = stores.kafka_client()
    assert (client["security_protocol"], client["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (client["sasl_plain_username"], client["sasl_plain_password"]) == (
        "auditor",
        production["KAFKA_SASL_PASSWORD"],
    )
    assert client["ssl_context"].get_ca_certs()
    assert client["bootstrap_servers"] == production["KAFKA_BROKER"]
    assert stores.brokers().kafka_replication == 3
    orders = stores.databases["orderfc"]
    assert (orders.host, orders.port, orders.user, orders.database) == (
        "orders.example.com",
        6432,
        "orders_auditor",
        "orders",
    )
    assert not isinstance(orders.tls, str)
    assert orders.tls.check_hostname
    assert stores.redis is not None
    assert stores.redis.startswith("rediss://")
    assert "ssl_ca_certs=" in stores.redis
    assert stores.xendit is not None
    assert stores.xendit.secret_key


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, "KAFKA_SECURITY_PROTOCOL: must be SSL or SASL_SSL"),
        ({"DB_SSLMODE": "prefer"}, "DB_SSLMODE: must be verify-full"),
        ({"REDIS_TLS": ""}, "REDIS_TLS: must be true"),
        ({"XENDIT_BASE_URL": "http://api.xendit.co"}, "XENDIT_BASE_URL: must begin with https://"),
        ({"XENDIT_BASE_URL": "http://api.xendit.co", "ALLOW_PLAINTEXT": "true"}, "XENDIT_BASE_URL: must begin with"),
        ({"XENDIT_BASE_URL": "https://10.0.0.1"}, "XENDIT_BASE_URL: 10.0.0.1 is not a public address"),
        ({"XENDIT_BASE_URL": "https://xendit-simulator:28090"}, "XENDIT_BASE_URL: xendit-simulator is not a public"),
        ({"XENDIT_BASE_URL": ""}, "XENDIT_BASE_URL: is missing"),
        ({"XENDIT_SECRET_API_KEY": ""}, "XENDIT_SECRET_API_KEY: is missing"),
        ({"MONGO_URI": ""}, "MONGO_URI: is missing"),
        ({"MONGO_URI": "mongodb://audit.example.com"}, "MONGO_URI: must have tls=true and check certificates"),
        ({"MONGO_URI": "mongodb://a.example.com/?tls=true&tlsInsecure=true"}, "MONGO_URI: must have tls=true and"),
        ({"MONGO_URI": "mongodb://a:admin@a.example.com/?tls=true"}, "MONGO_URI: its password is the development"),
        ({"MONGO_URI": "mongodb://a:hid%zzden@a.example.com/?tls=true"}, "MONGO_URI: should be mongodb://"),
        ({"MONGO_URI": "audit.example.com"}, "MONGO_URI: should begin with mongodb://"),
        ({"DB_AUDIT_PASSWORD": "admin"}, "DB_AUDIT_PASSWORD: is the development default"),
        ({"DB_AUDIT_PASSWORD": ""}, "DB_AUDIT_PASSWORD: is missing"),
        ({"KAFKA_SASL_USERNAME": ""}, "KAFKA_SASL_USERNAME: is missing"),
    ],
)
def test_production_refuses(production: dict[str, str], change: dict[str, str], says: str) -> None:
    with pytest.raises(SystemExit, match=says) as refused:
        load_in(production | change)
    assert "hid%" not in str(refused.value)


def test_the_auditor_knows_the_topics_of_the_contract() -> None:
    assert (dict(saga.PRODUCERS), dict(saga.CONSUMERS)) == (dict(topics.PRODUCERS), dict(topics.CONSUMERS))
