"""The chart brings the alerts of deploy/observability/rules, with links that lead somewhere."""

import yaml

from fc.stack.layout import DEPLOYED, ROOT
from tests.helm.render import Object, helm, named, of_kind, rendered

RULES = ROOT / "deploy/observability/rules"
LINKS = {"repository": "https://example.com/shop/blob/v1/", "console": "https://console.example.com"}


def test_the_rules_are_those_that_promtool_has_tested() -> None:
    objects = of_kind(rendered("production"), "PrometheusRule")
    expected = {f"shop-{path.name.removesuffix('.rules.yml')}": path for path in RULES.glob("*.rules.yml")}
    assert {one["metadata"]["name"] for one in objects} == expected.keys()
    for one in objects:
        path = expected[one["metadata"]["name"]]
        assert one["spec"] == yaml.safe_load(path.read_text(encoding="utf-8"))
        assert one["metadata"]["labels"]["release"] == "prometheus"


def test_links_begin_with_what_the_values_say() -> None:
    done = helm("template", ["values-production.yaml"], {"prometheusRule": LINKS})
    objects: list[Object] = [one for one in yaml.safe_load_all(done.stdout) if one]
    for one in of_kind(objects, "PrometheusRule"):
        for rule in (rule for group in one["spec"]["groups"] for rule in group["rules"] if "alert" in rule):
            assert rule["annotations"]["runbook_url"].startswith("https://example.com/shop/blob/v1/docs/operations.md#")
            assert rule["annotations"]["console_url"].startswith("https://console.example.com/")


def test_the_operator_is_not_needed() -> None:
    assert of_kind(rendered("development"), "PrometheusRule", "PodMonitor") == []


def test_a_service_is_a_job_as_the_rules_expect() -> None:
    monitor = named(rendered("production"), "PodMonitor", "shop")
    assert monitor["spec"]["jobLabel"] == "app.kubernetes.io/name"
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in of_kind(rendered("production"), "Deployment")]
    assert {labels[monitor["spec"]["jobLabel"]] for labels in pods} == set(DEPLOYED)
