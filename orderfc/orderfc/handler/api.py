"""The HTTP application of orderfc: what is served, and what its OpenAPI document is made from."""

from fastapi import FastAPI

from chassis.config import ServiceSettings
from chassis.health import Readiness
from chassis.http import create_app
from orderfc.handler import http


def application(settings: ServiceSettings, ready: Readiness | None = None) -> FastAPI:
    """Make the application; what its routes work with is put on its state by the composition root."""
    return create_app(
        settings,
        routers=[http.router],
        ready=ready,
        title="orderfc",
        description="Checkout, order history and order status.",
    )
