"""Every expression of the dashboards and the rules reads metrics and labels that exist, and each alert has a panel."""

import json
from collections import Counter
from functools import cache

import pytest

from fc.stack.layout import CONSOLE, SERVICES
from observability.dashboards import DASHBOARDS, FOLDER, files
from observability.dashboards.grafana import Dashboard, Panel
from observability.metrics import Known, known, reading, unknown
from observability.rules import ROOT, alerts, expressions

PANELS = [panel for dashboard in DASHBOARDS for panel in dashboard.panels]


@cache
def metrics() -> Known:
    return known()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_every_panel_reads_metrics_and_labels_that_exist(panel: Panel) -> None:
    assert [what for query in panel.queries for what in unknown(query.expr, metrics())] == []


@pytest.mark.parametrize(("name", "expr"), expressions(), ids=lambda value: value if value.isidentifier() else "")
def test_every_rule_reads_metrics_and_labels_that_exist(name: str, expr: str) -> None:
    assert list(unknown(expr, metrics())) == []


@pytest.mark.parametrize(
    ("expr", "says"),
    [
        ("rate(gocommerce_dead_leters_total[5m])", "the metric gocommerce_dead_leters_total"),
        ("http_server_request_duration_seconds", None),
        ("http_server_request_duration_seconds_total", "the metric http_server_request_duration_seconds_total"),
        ('up{servise="orderfc"}', "the label servise of up"),
        ('gocommerce_dead_letters_total{topik="x"}', "the label topik of gocommerce_dead_letters_total"),
        ("sum by (topik) (gocommerce_dead_letters_total)", "the label topik"),
        ("slo:errors:ratio_rate7m", "the metric slo:errors:ratio_rate7m"),
        (
            'gocommerce_dead_letters_total{reason=~"not_yet|nott_yet"}',
            "reason='nott_yet' of gocommerce_dead_letters_total",
        ),
        ('gocommerce_dead_letters_total{reason=~"not.*"}', None),
    ],
)
def test_a_misspelt_name_is_noticed(expr: str, says: str | None) -> None:
    assert list(unknown(expr, metrics())) == ([says] if says else [])


def routes() -> set[str]:
    """Return the routes of all services, and the probes that OpenAPI leaves out."""
    documents = (json.loads(path.read_text()) for path in (ROOT / "docs/openapi").glob("*.json"))
    return {path for document in documents for path in document["paths"]} | {"/ready", "/health", "/metrics"}


def misplaced(expr: str) -> set[str]:
    """Return the routes, services and consumers that an expression selects and that do not exist."""
    exist = {"http_route": routes(), "job": {*SERVICES, CONSOLE}, "consumer": set(SERVICES)}
    return {
        value
        for _, labels in reading(expr).selected
        for label, all_of in exist.items()
        for value in set(labels.get(label, ())) - all_of
    }


def test_routes_and_services_that_are_selected_exist() -> None:
    exprs = [expr for _, expr in expressions()] + [query.expr for panel in PANELS for query in panel.queries]
    assert set().union(*map(misplaced, exprs)) == set()
    assert misplaced('up{job="orderfcc"}') == {"orderfcc"}
    assert misplaced('http_server_request_duration_seconds_count{http_route="/v1/order/checkout"}') == {
        "/v1/order/checkout"
    }


def test_an_invalid_expression_is_noticed() -> None:
    with pytest.raises(ValueError, match="parse|invalid|unexpected"):
        reading("sum by job (up)")


def test_every_alert_has_a_panel_that_shows_its_figures() -> None:
    shown = {alert: panel for panel in PANELS for alert in panel.alerts}
    assert shown.keys() == {alert.name for alert in alerts()}
    for alert in alerts():
        read = {name for query in shown[alert.name].queries for name in reading(query.expr).metrics}
        wanted = reading(alert.expr).metrics
        assert {_family(name) for name in wanted} <= {_family(name) for name in read}, alert.name


def _family(name: str) -> str:
    for suffix in ("_bucket", "_count"):
        name = name.removesuffix(suffix)
    return name


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_the_committed_dashboard_has_a_place_and_a_query_for_each_panel(dashboard: Dashboard) -> None:
    document = json.loads((ROOT / FOLDER / f"{dashboard.uid}.json").read_text())
    assert document == json.loads(files()[FOLDER / f"{dashboard.uid}.json"])
    assert [panel["title"] for panel in document["panels"]] == [panel.title for panel in dashboard.panels]
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    places = Counter((panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in document["panels"])
    assert max(places.values()) == 1
    for panel in document["panels"]:
        assert panel["type"] == "timeseries"
        assert panel["targets"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_the_dashboards_are_five_with_names_of_their_own() -> None:
    assert len({dashboard.uid for dashboard in DASHBOARDS}) == len(DASHBOARDS) == 5
    assert all(len(panel.queries) <= 8 for panel in PANELS)
