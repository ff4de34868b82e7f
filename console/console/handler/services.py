"""The services: how each is, what it answers, and what its process is doing."""

import asyncio
from typing import Any

from fastapi import Response
from markupsafe import Markup

from chassis.errors import Forbidden
from chassis.http.routing import Router
from console.client.admin_api import Refused
from console.handler import live, rendering
from console.handler.visit import NotSignedIn, Visit, Visitor
from console.model.overview import card
from console.model.routes import routes
from console.model.service_charts import service_charts
from console.model.topology import SERVICES
from console.usecase.read_process import read_process

router = Router(include_in_schema=False)


@live.page(router, "/services")
async def services_page(visit: Visitor) -> Response:
    """List the services."""
    watch = visit.state.watch
    watch.viewed()
    processes = await _processes(visit, *SERVICES)
    cards = [card(name, watch.standing(name), watch.readings(name), watch.count(name)) for name in SERVICES]
    rows = [(each, *process) for each, process in zip(cards, processes, strict=True)]
    body = Markup(rendering.text("parts/services_body.html", rows=rows))  # noqa: S704
    return visit.page("services.html", part="parts/body.html", body=body)


@live.page(router, "/services/{name}")
async def service_page(visit: Visitor, name: str) -> Response:
    """Show one service."""
    if name not in SERVICES:
        return visit.message("Not found", "The platform has no such service.", 404)
    watch = visit.state.watch
    watch.viewed()
    [(process, reason)] = await _processes(visit, name)
    readings = watch.readings(name)
    shown = card(name, watch.standing(name), readings, watch.count(name))
    body = Markup(  # noqa: S704
        rendering.text(
            "parts/service_body.html",
            shown=shown,
            process=process,
            reason=reason,
            routes=routes(readings),
            charts=service_charts(readings, watch.looked_at),
            processes=watch.processes(name),
        )
    )
    says = f"{shown.standing.state}; its process did not answer" if reason else shown.standing.state
    return visit.page("service.html", part="parts/body.html", body=body, service=name, says=says)


async def _processes(visit: Visit, *names: str) -> list[tuple[dict[str, Any] | None, str]]:
    try:
        return await asyncio.gather(*(read_process(visit.api, name) for name in names))
    except Refused as refusal:
        if refusal.status == 401:
            raise NotSignedIn(visit.path) from None
        raise Forbidden("This needs the role admin") from None
