"""The HTTP application of userfc: what is served, and what its OpenAPI document is made from."""

from fastapi import FastAPI

from chassis.config.settings import ServiceSettings
from chassis.http.app import create_app
from chassis.http.probes import Readiness
from userfc.handler import http


def application(settings: ServiceSettings, ready: Readiness | None = None) -> FastAPI:
    """Make the application; what its routes work with is put on its state by the composition root."""
    return create_app(
        settings,
        routers=[http.router],
        ready=ready,
        title="userfc",
        description="Registration, login, log-out, and who a user is.",
    )
