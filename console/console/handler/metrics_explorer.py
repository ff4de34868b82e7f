"""Twelve charts of the last fifteen minutes."""

from fastapi import Response
from markupsafe import Markup

from chassis.http.routing import Router
from console.handler import live, rendering
from console.handler.visit import Visitor
from console.model.service_charts import all_charts
from console.model.topology import SERVICES

router = Router(include_in_schema=False)


@live.page(router, "/metrics-explorer")
async def metrics_page(visit: Visitor) -> Response:
    """Show the charts; they change with each look at the metrics."""
    watch = visit.state.watch
    away = [name for name in SERVICES if watch.standing(name).state == "away"]
    charts = all_charts({name: watch.readings(name) for name in SERVICES}, watch.looked_at)
    body = Markup(rendering.text("parts/metrics_body.html", charts=charts, away=away))  # noqa: S704
    says = "; ".join(f"{name} does not answer" for name in away) or "All services answer"
    return visit.page("metrics.html", part="parts/body.html", says=says, body=body)
