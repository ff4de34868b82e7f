"""Asks a service what its process is doing."""

from typing import Any

from console.client.admin_api import AdminApi, NoAnswer


async def read_process(api: AdminApi, service: str) -> tuple[dict[str, Any] | None, str]:
    """Return what the process that answers says of itself, or None and why not. Raises Refused."""
    try:
        found = await api.get(service, "process")
    except NoAnswer as error:
        return None, str(error)
    return (found, "") if found else (None, "it answers 404")
