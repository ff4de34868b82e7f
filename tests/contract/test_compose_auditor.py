"""The auditor in `docker-compose.yml`: a job that runs when it is asked for, on the stores of the services."""

from chassis.config.connections import audit_role
from chassis.config.settings import load
from fc.audit.settings import Settings as Auditor
from fc.stack.layout import SERVICES
from tests.contract.compose import PRODUCTION, environment, is_job, only, resolved, settings
from tests.contract.test_env_example import names_of


def test_the_auditor_runs_once_when_it_is_asked_for_with_the_roles_that_the_migrations_make() -> None:
    for env in ({}, PRODUCTION):
        compose = resolved(env)
        one, given = compose["services"]["auditor"], environment(compose, "auditor")
        assert is_job(one)
        assert set(given) <= names_of(Auditor)
        with only(given):
            found = load(Auditor).stores()
        for service in SERVICES:
            migrating, address = settings(compose, service, f"{service}-migrate"), found.databases[service]
            assert (address.host, address.port, address.database) == (
                migrating.db_host,
                migrating.db_port,
                migrating.db_name,
            )
            assert address.user == audit_role(migrating.db_name)
            assert address.password == migrating.db_audit_password.get_secret_value()
            assert address.host in one["depends_on"]
        payment = settings(compose, "paymentfc")
        assert (found.kafka, found.mongo) == (payment.kafka_broker, payment.mongo_uri.get_secret_value())
        assert found.xendit is not None
        assert found.xendit.base_url == payment.xendit_base_url
