"""The HTTP application of paymentfc: what is served, and what its OpenAPI document is made from."""

from fastapi import FastAPI

from chassis.config.settings import ServiceSettings
from chassis.http.app import create_app
from chassis.http.probes import Readiness
from paymentfc.handler import admin, http


def application(settings: ServiceSettings, ready: Readiness | None = None) -> FastAPI:
    """Make the application; what its routes work with is put on its state by the composition root."""
    return create_app(
        settings,
        routers=[admin.router, http.router],
        ready=ready,
        title="paymentfc",
        description="Invoices at Xendit, its callbacks, and what they do to an order's payment.",
    )
