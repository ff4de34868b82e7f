"""Where an order's trace and log lines are shown: addresses of Jaeger, Grafana and VictoriaLogs."""

import json
from datetime import datetime, timedelta
from urllib.parse import quote

import httpx2

from fc.stack import compose
from fc.stack.layout import Layout
from fc.stack.programs import developer_settings

ANSWER_S = 1
JAEGER = "http://localhost:16686"
GRAFANA = "http://localhost:3000"
# Shown around an order in Grafana.
BEFORE, AFTER = timedelta(minutes=1), timedelta(hours=1)


def of(order_id: int, trace_id: str | None, placed: datetime) -> tuple[dict[str, str], str | None]:
    """Return the links by name, and the address of VictoriaLogs if it answers.

    JAEGER_URL, GRAFANA_URL and VICTORIALOGS_URL name servers elsewhere; without them only those that run here count.
    """
    settings, engine = developer_settings(), compose.engine()
    local = None if engine else Layout.from_environment().url("victorialogs")
    jaeger = settings.get("JAEGER_URL") or (_answering(JAEGER, "/") if engine else None)
    grafana = settings.get("GRAFANA_URL") or (_answering(GRAFANA, "/api/health") if engine else None)
    store = _answering(settings.get("VICTORIALOGS_URL") or local, "/health")
    links = {}
    if jaeger and trace_id:
        links["Jaeger"] = f"{jaeger.rstrip('/')}/trace/{trace_id}"
    if grafana:
        links["Grafana"] = _explore(grafana, order_id, placed)
    if store:
        links["VictoriaLogs"] = f"{store}/select/vmui/#/?query={quote(f'order_id:={order_id}')}&g0.range_input=7d"
    return links, store


def _answering(url: str | None, path: str) -> str | None:
    try:
        with httpx2.Client(timeout=ANSWER_S, trust_env=False) as client:
            return url.rstrip("/") if url and client.get(f"{url.rstrip('/')}{path}").is_success else None
    except httpx2.HTTPError:
        return None


def _explore(grafana: str, order_id: int, placed: datetime) -> str:
    """Return Grafana's page for a query of Loki."""
    query = f'{{service_namespace="go-commerce"}} | order_id="{order_id}"'
    pane = {
        "datasource": "loki",
        "queries": [{"refId": "A", "datasource": {"type": "loki", "uid": "loki"}, "expr": query}],
        "range": {
            "from": str(int((placed - BEFORE).timestamp() * 1000)),
            "to": str(int((placed + AFTER).timestamp() * 1000)),
        },
    }
    return f"{grafana.rstrip('/')}/explore?schemaVersion=1&panes={quote(json.dumps({'a': pane}))}"
