"""The admin API of the stack that runs here, asked with the token of the administrator of its settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from rich.console import Console

from console.client.admin_api import AdminApi, Refused
from fc.stack import deployment
from fc.stack.errors import StackError

LOGIN_S = 10


@asynccontextmanager
async def admin_api() -> AsyncIterator[AdminApi]:
    """Log in. Raises StackError, also for what a service refuses in the block."""
    here = deployment.here(Console())
    urls = here.urls()
    email, password = here.accounts()["admin"]
    try:
        async with httpx2.AsyncClient(timeout=LOGIN_S) as http:
            yield AdminApi(http, urls, await _token(http, urls["userfc"], email, password))
    except Refused as error:
        raise StackError(f"{error}: the administrator of the settings may not read this platform") from error


async def _token(http: httpx2.AsyncClient, url: str, email: str, password: str) -> str:
    try:
        answer = await http.post(f"{url}/v1/login", json={"email": email, "password": password})
        answer.raise_for_status()
        return str(answer.json()["token"])
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        raise StackError(
            f"userfc gives no token for {email} ({type(error).__name__}); `fc status` shows what runs"
        ) from error
