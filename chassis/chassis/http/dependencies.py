"""Dependencies of routes that every service has: what the composition root has put on `app.state`."""

from typing import Annotated, Any

from fastapi import Depends, Request

from chassis.db.database import Database


def state(name: str) -> Any:
    """Return a dependency that reads `app.state.<name>`: `Cache = Annotated[ProductCache, state("cache")]`."""

    async def read(request: Request) -> Any:
        return getattr(request.app.state, name)

    return Depends(read)


Db = Annotated[Database, state("db")]
