"""Who reaches whom: neighbours, servers, and callers from outside."""

from importlib import import_module
from urllib.parse import urlsplit

import pytest

from fc.stack.layout import SERVICES
from tests.contract.routes import ADMIN, ROUTES
from tests.helm.render import RELEASE, Object, deployments, environment, named, of_kind, rendered


def _wanted(service: str, given: dict[str, str]) -> set[tuple[str, int]]:
    """Return the hosts and ports to which a service with this environment connects."""
    uses_kafka = bool(import_module(f"{service}.app").SERVICE.topics)
    found = {(given["DB_HOST"], int(given["DB_PORT"])), (given["REDIS_HOST"], int(given.get("REDIS_PORT", 6379)))}
    for name in ("USER_SERVICE_ADDR", *(["KAFKA_BROKER"] if uses_kafka else [])):
        found |= {(host, int(port)) for host, port in (one.split(":") for one in given[name].split(","))}
    for name in ("PRODUCT_HOST", "XENDIT_BASE_URL", "VAULT_ADDR", "OTEL_EXPORTER_OTLP_ENDPOINT", "MONGO_URI"):
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
        {rule["ports"][0]["port"] for rule in out if any(_is_pods_of(peer, callee) for peer in rule.get("to", []))},
        {rule["ports"][0]["port"] for rule in let_in if any(_is_pods_of(peer, caller) for peer in rule["from"])},
    )


@pytest.mark.parametrize("name", ["development", "production", "production with Vault"])
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_reach_what_it_connects_to(service: str, name: str) -> None:
    objects = rendered(name)
    [one, *_] = deployments(objects, service)
    anywhere = {
        port["port"] for rule in named(objects, "NetworkPolicy", service)["spec"]["egress"] for port in rule["ports"]
    }
    for host, port in _wanted(service, environment(objects, one)):
        if host in SERVICES:
            [wanted] = [
                each["name"] for each in named(objects, "Service", host)["spec"]["ports"] if each["port"] == port
            ]
            assert _between(objects, service, host) == ({wanted}, {wanted})
        else:
            assert port in anywhere, f"{service} may not reach {host}:{port}"


def test_services_reach_each_other_only_as_the_architecture_says() -> None:
    objects = rendered("production")
    calls = {(a, b) for a in SERVICES for b in SERVICES if a != b and _between(objects, a, b) != (set(), set())}
    assert calls == {("productfc", "userfc"), ("orderfc", "userfc"), ("orderfc", "productfc"), ("paymentfc", "userfc")}


def test_every_route_of_the_contract_but_those_for_administrators_is_public_and_nothing_else_is() -> None:
    [ingress] = of_kind(rendered("production"), "Ingress")
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
