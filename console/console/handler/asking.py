"""Questions to the services for a person: one that may not ask is led to the log-in, or refused."""

from collections.abc import Iterator
from contextlib import contextmanager

from chassis.errors import Forbidden
from console.client.admin_api import Refused
from console.handler.visit import NotSignedIn, Visit


@contextmanager
def asking(visit: Visit) -> Iterator[None]:
    """Answer what a service refuses in the block: raises NotSignedIn for a token that has ended, else Forbidden."""
    try:
        yield
    except Refused as refusal:
        if refusal.status == 401:
            raise NotSignedIn(visit.path) from None
        raise Forbidden("This needs the role admin") from None
