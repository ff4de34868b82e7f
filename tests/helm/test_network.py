"""Who reaches whom: neighbours, servers, and callers from outside."""

from collections.abc import Iterable
from importlib import import_module
from urllib.parse import urlsplit

import pytest
import yaml

from fc.stack.layout import CONSOLE, DEPLOYED, SERVICES
from tests.contract.routes import ADMIN, ROUTES
from tests.helm.render import RELEASE, Object, deployments, environment, helm, named, of_kind, rendered


def _wanted(service: str, given: dict[str, str]) -> set[tuple[str, int]]:
    """Return the hosts and ports to which a service with this environment connects."""
    uses_kafka = service == CONSOLE or bool(import_module(f"{service}.app").SERVICE.topics)
    found = {(given["REDIS_HOST"], int(given.get("REDIS_PORT", 6379)))}
    found |= {(given["DB_HOST"], int(given["DB_PORT"]))} if service in SERVICES else set()
    for name in ("USER_SERVICE_ADDR", *(["KAFKA_BROKER"] if uses_kafka else [])):
        found |= {(host, int(port)) for host, port in (one.split(":") for one in given[name].split(","))}
    urls = ("XENDIT_BASE_URL", "VAULT_ADDR", "OTEL_EXPORTER_OTLP_ENDPOINT", "MONGO_URI")
    for name in (*(name for name in given if name.endswith("_HOST") and "://" in given[name]), *urls):
        if url := given.get(name):
            parts = urlsplit(url)
            found.add((parts.hostname or "", parts.port or {"https": 443, "mongodb": 27017}[parts.scheme]))
    return {(host, port) for host, port in found if host != service}


def _is_pods_of(peer: Object, service: str) -> bool:
    selector = peer.get("podSelector", {}).get("matchLabels")
    return bool(selector == {"app.kubernetes.io/name": service, "app.kubernetes.io/instance": RELEASE})


def _between(objects: list[Object], caller: str, callee: str) -> tuple[set[str], set[str]]:
    """Return the names of the ports that the caller may reach, and of those where the callee lets it in."""
    out = named(objects, "NetworkPolicy", caller)["spec"]["egress"]
    let_in = named(objects, "NetworkPolicy", callee)["spec"]["ingress"]
    return (
        _ports(rule for rule in out if any(_is_pods_of(peer, callee) for peer in rule.get("to", []))),
        _ports(rule for rule in let_in if any(_is_pods_of(peer, caller) for peer in rule["from"])),
    )


def _ports(rules: Iterable[Object]) -> set[str]:
    return {each["port"] for rule in rules for each in rule["ports"]}


@pytest.mark.parametrize("name", ["development", "production", "production with Vault"])
@pytest.mark.parametrize("service", DEPLOYED)
def test_a_service_may_reach_what_it_connects_to(service: str, name: str) -> None:
    objects = rendered(name)
    [one, *_] = deployments(objects, service)
    anywhere = {
        port["port"] for rule in named(objects, "NetworkPolicy", service)["spec"]["egress"] for port in rule["ports"]
    }
    for host, port in _wanted(service, environment(objects, one)):
        if host.removesuffix("-management") in SERVICES:
            [wanted] = [
                each["name"] for each in named(objects, "Service", host)["spec"]["ports"] if each["port"] == port
            ]
            out, let_in = _between(objects, service, host.removesuffix("-management"))
            assert wanted in out & let_in
            assert out == let_in
        else:
            assert port in anywhere, f"{service} may not reach {host}:{port}"


@pytest.mark.parametrize("name", ["development", "production", "production with Vault"])
def test_the_auditor_may_reach_the_stores_and_nobody_may_reach_it(name: str) -> None:
    objects = rendered(name)
    policy = named(objects, "NetworkPolicy", "auditor")["spec"]
    given = environment(objects, named(objects, "CronJob", "auditor"))
    wanted = {given[f"{service.upper()}_DB_ADDR"].rpartition(":")[2] for service in SERVICES}
    wanted |= {one.rpartition(":")[2] for one in given["KAFKA_BROKER"].split(",")} | {"6379", "27017"}
    url = urlsplit(given["XENDIT_BASE_URL"])
    wanted.add(str(url.port or 443))
    assert {str(port["port"]) for rule in policy["egress"] for port in rule["ports"]} == wanted | {"53"}
    assert policy["ingress"] == []


def test_services_reach_each_other_only_as_the_architecture_says() -> None:
    objects = rendered("production")
    pairs = ((a, b) for a in DEPLOYED for b in DEPLOYED if a != b)
    calls = {pair: ports[0] for pair in pairs if (ports := _between(objects, *pair)) != (set(), set())}
    assert calls == {
        ("productfc", "userfc"): {"grpc"},
        ("orderfc", "userfc"): {"grpc"},
        ("orderfc", "productfc"): {"http"},
        ("paymentfc", "userfc"): {"grpc"},
        (CONSOLE, "userfc"): {"http", "grpc", "management"},
        (CONSOLE, "productfc"): {"http", "management"},
        (CONSOLE, "orderfc"): {"http", "management"},
        (CONSOLE, "paymentfc"): {"http", "management"},
    }


def test_the_console_is_let_out_on_a_host_of_its_own_or_not_at_all() -> None:
    ingress = named(rendered("production"), "Ingress", "shop-console")
    [rule] = ingress["spec"]["rules"]
    assert rule["host"] == "console.shop.example.com"
    assert [each["backend"]["service"]["name"] for each in rule["http"]["paths"]] == [CONSOLE]
    assert _open(named(rendered("production"), "NetworkPolicy", CONSOLE))
    assert of_kind(rendered("existing Secrets and nothing else"), "Ingress") == []
    closed = helm("template", ["values-production.yaml"], {"consoleIngress": {"enabled": False}})
    objects = [one for one in yaml.safe_load_all(closed.stdout) if one]
    assert [one["metadata"]["name"] for one in of_kind(objects, "Ingress")] == ["shop"]
    assert not _open(named(objects, "NetworkPolicy", CONSOLE))
    assert _open(named(objects, "NetworkPolicy", "orderfc"))


def _open(policy: Object) -> bool:
    """Whether pods of the ingress may call the public port."""
    return any(
        "namespaceSelector" in peer and rule["ports"] == [{"port": "http"}]
        for rule in policy["spec"]["ingress"]
        for peer in rule["from"]
    )


def test_every_route_of_the_contract_but_those_for_administrators_is_public_and_nothing_else_is() -> None:
    ingress = named(rendered("production"), "Ingress", "shop")
    [rule] = ingress["spec"]["rules"]
    public = {one["path"]: one["backend"]["service"]["name"] for one in rule["http"]["paths"]}
    assert all(one["pathType"] == "Prefix" for one in rule["http"]["paths"])

    def leads_to(path: str) -> list[str]:
        return [service for prefix, service in public.items() if path == prefix or path.startswith(f"{prefix}/")]

    for route in ROUTES:
        public_one = route.path.startswith("/v1/") and not route.path.startswith(f"{ADMIN}/")
        assert leads_to(route.path) == ([route.service] if public_one else []), route.name
    assert leads_to("/v1/admin/orders/1") == leads_to("/v1/admin") == leads_to("/") == []
    assert {prefix for prefix in public if not any(route.path.startswith(prefix) for route in ROUTES)} == set()
