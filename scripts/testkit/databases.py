"""Fresh databases for tests: each service is migrated once per session and copied from that template."""

from importlib import import_module
from typing import Any
from uuid import uuid4

import asyncpg

from chassis.config.settings import load
from chassis.db import migrations


class Databases:
    """Makes databases on one server."""

    def __init__(self, server: dict[str, Any]) -> None:
        self._server = server
        self._templates: dict[str, str] = {}

    def _arguments(self, name: str) -> dict[str, Any]:
        return {
            "db_host": self._server["host"],
            "db_port": self._server["port"],
            "db_user": self._server["user"],
            "db_password": self._server["password"],
            "db_name": name,
        }

    async def _create(self, name: str, template: str) -> None:
        connection = await asyncpg.connect(
            host=self._server["host"],
            port=self._server["port"],
            user=self._server["user"],
            password=self._server["password"],
            database="postgres",
        )
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        finally:
            await connection.close()

    async def make(self, service: str) -> dict[str, Any]:
        """Make a database with the service's schema and return arguments for its settings class."""
        if service not in self._templates:
            template = f"template_{service}_{uuid4().hex[:8]}"
            await self._create(template, "template0")
            if service != "chassis":
                settings = load(import_module(f"{service}.config").Settings, **self._arguments(template))
                await migrations.run(settings, service)
            self._templates[service] = template
        name = f"{service}_{uuid4().hex[:12]}"
        await self._create(name, self._templates[service])
        return self._arguments(name)
