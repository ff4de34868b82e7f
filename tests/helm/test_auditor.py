"""The auditor by the clock: confined as the services are, with the stores that they use, alone and not for ever."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chassis.config.connections import DatabaseSettings
from chassis.config.settings import load
from fc.audit.settings import Settings as Auditor
from fc.stack.layout import SERVICES
from paymentfc.config import Settings as PaymentSettings
from testkit.certificates import Certificates
from tests.contract import compose
from tests.helm.policies import violations
from tests.helm.render import Object, deployments, environment, helm, named, of_kind, rendered, template
from tests.helm.test_chart import _container, _pod, _spec, _without
from tests.helm.test_settings import HIDDEN, _mounted


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(Path(tmp_path_factory.mktemp("tls")) / "files", "kafka")


def _job(key: str, value: Any) -> Callable[[list[Object]], None]:
    def plant(objects: list[Object]) -> None:
        named(objects, "CronJob", "auditor")["spec"]["jobTemplate"]["spec"][key] = value

    return plant


PLANTED: dict[str, tuple[Callable[[list[Object]], None], str]] = {
    "the auditor's token": (
        _pod("CronJob", "auditor", "automountServiceAccountToken", True),
        "CronJob auditor: has a token",
    ),
    "the auditor's privileges": (
        _container("CronJob", "auditor", "securityContext", {}),
        "CronJob auditor: is not conf",
    ),
    "the auditor's password": (
        _container("CronJob", "auditor", "env", [{"name": "DB_AUDIT_PASSWORD", "value": "known"}]),
        "CronJob auditor: shows DB_AUDIT_PASSWORD",
    ),
    "an auditor without an account": (
        _without("ServiceAccount", "auditor"),
        "CronJob auditor: ServiceAccount auditor is",
    ),
    "an auditor whom all may call": (_without("NetworkPolicy", "auditor"), "CronJob auditor: has no policy"),
    "two audits at once": (
        _spec("CronJob", "auditor", "concurrencyPolicy", "Allow"),
        "CronJob auditor: may run beside",
    ),
    "an audit that hangs": (_job("activeDeadlineSeconds", None), "CronJob auditor: may run without end"),
    "an audit that is repeated": (_job("backoffLimit", 6), "CronJob auditor: may run without end"),
    "runs that stay": (_job("ttlSecondsAfterFinished", None), "CronJob auditor: keeps too many runs"),
    "many runs": (_spec("CronJob", "auditor", "failedJobsHistoryLimit", 50), "CronJob auditor: keeps too many runs"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_violation_is_found(what: str) -> None:
    plant, says = PLANTED[what]
    planted = rendered("production")
    plant(planted)
    assert any(line.startswith(says) for line in violations(planted)), violations(planted)


def _auditor(given: dict[str, str]) -> Auditor:
    """Load the auditor's settings as its container does."""
    with compose.only(given):
        return load(Auditor)


def test_in_development_the_auditor_has_the_settings_and_the_memory_of_compose() -> None:
    objects = rendered("development")
    one, composed = named(objects, "CronJob", "auditor"), compose.resolved()
    assert _auditor(environment(objects, one)) == _auditor(compose.environment(composed, "auditor"))
    [container] = template(one)["spec"]["containers"]
    limit = composed["services"]["auditor"]["mem_limit"].replace("m", "Mi")
    assert container["resources"]["limits"]["memory"] == limit
    assert container["image"] == composed["services"]["auditor"]["image"]


def test_the_auditor_reads_what_the_services_write(certificates: Certificates) -> None:
    objects = rendered("production")
    given = _mounted(environment(objects, named(objects, "CronJob", "auditor")), certificates)
    with pytest.raises(SystemExit, match="is missing"):
        _auditor(given)
    hidden = {name: HIDDEN[name] for name in ("REDIS_PASSWORD", "KAFKA_SASL_PASSWORD", "MONGO_URI")}
    hidden |= {"DB_AUDIT_PASSWORD": HIDDEN["DB_PASSWORD"], "XENDIT_SECRET_API_KEY": HIDDEN["XENDIT_SECRET_API_KEY"]}
    stores = _auditor({**given, **hidden}).stores()
    for service in SERVICES:
        [one, *_] = deployments(objects, service)
        env, address = environment(objects, one), stores.databases[service]
        assert (address.host, str(address.port)) == (env["DB_HOST"], env["DB_PORT"])
        assert address.user not in (env["DB_USER"], service)
    [one, *_] = deployments(objects, "orderfc")
    assert stores.kafka == environment(objects, one)["KAFKA_BROKER"]
    assert stores.brokers().kafka_security_protocol == "SASL_SSL"


def test_the_auditor_is_left_out_unless_it_is_wanted_and_its_role_is_made_by_the_migrations() -> None:
    assert of_kind(rendered("existing Secrets and nothing else"), "CronJob") == []
    objects = rendered("development")
    for service in SERVICES:
        given = environment(objects, named(objects, "Job", f"{service}-migrate-1"))
        assert (
            given["DB_AUDIT_PASSWORD"]
            == environment(objects, named(objects, "CronJob", "auditor"))["DB_AUDIT_PASSWORD"]
        )
        [one] = deployments(objects, service)
        assert "DB_AUDIT_PASSWORD" not in environment(objects, one)


def _rendered(values: dict[str, Any]) -> tuple[list[Object], dict[str, str]]:
    """Return what the example of production renders with other values, and the environment of its auditor."""
    done = helm("template", ["values-production.yaml"], values)
    assert done.returncode == 0, done.stderr
    objects: list[Object] = [one for one in yaml.safe_load_all(done.stdout) if one]
    return objects, environment(objects, named(objects, "CronJob", "auditor"))


@pytest.mark.parametrize(
    ("values", "days"),
    [
        ({}, DatabaseSettings.model_fields["outbox_keep_days"].default),
        ({"settings": {"OUTBOX_KEEP_DAYS": "5"}}, 5),
        ({"settings": {"OUTBOX_KEEP_DAYS": "5"}, "defaults": {"settings": {"OUTBOX_KEEP_DAYS": "10"}}}, 10),
        ({"services": {"paymentfc": {"settings": {"OUTBOX_KEEP_DAYS": "3"}}}}, 3),
        ({"services": {"paymentfc": {"settings": {"OUTBOX_KEEP_DAYS": "30"}}}}, 7),
        ({"settings": {"OUTBOX_KEEP_DAYS": "14"}, "auditor": {"settings": {"OUTBOX_KEEP_DAYS": "2"}}}, 2),
    ],
)
def test_the_auditor_misses_no_event_that_an_outbox_may_have_deleted(values: dict[str, Any], days: int) -> None:
    _, given = _rendered(values)
    assert given["OUTBOX_KEEP_DAYS"] == str(days)


def test_the_auditor_is_given_what_the_defaults_give_to_every_service() -> None:
    objects, given = _rendered({"defaults": {"settings": {"REDIS_HOST": "redis.of.defaults", "DB_PORT": "6432"}}})
    [one, *_] = deployments(objects, "orderfc")
    assert given["REDIS_HOST"] == environment(objects, one)["REDIS_HOST"] == "redis.of.defaults"
    assert given["ORDERFC_DB_ADDR"].endswith(":6432")


def test_the_auditor_asks_the_xendit_of_paymentfc() -> None:
    objects, given = _rendered({})
    assert all("XENDIT_BASE_URL" not in environment(objects, one) for one in deployments(objects, "paymentfc"))
    assert given["XENDIT_BASE_URL"] == PaymentSettings.model_fields["xendit_base_url"].default
    another = "https://xendit.example.com"
    _, given = _rendered({"services": {"paymentfc": {"settings": {"XENDIT_BASE_URL": another}}}})
    assert given["XENDIT_BASE_URL"] == another
