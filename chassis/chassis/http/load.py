"""The bounds on what all requests of one process hold together, and the record of what was refused because of them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Protocol

from prometheus_client import Counter

from chassis.http.address import Network

REFUSED = Counter(
    "gocommerce_http_refused_total", "Requests and connections that were refused or cut, by reason", ["reason"]
)

# More requests than a process can answer within its time limits: the next ones are refused at once.
MAX_IN_WORK = 256
# Answers that clients have not read yet. Beyond it the connections that wait longest are cut.
MAX_UNSENT_BYTES = 16 * 1024 * 1024
# How long `/ready` says `overloaded` after a refusal.
OVERLOADED_S = 5.0
# So many connections are closed at once, so that a flood of new ones does not search the list each time.
EVICTED_TOGETHER = 32


class Connection(Protocol):
    """An open connection, as its bounds see it."""

    address: str
    since: float

    def is_waiting(self) -> bool:
        """Return whether it has no whole request in work: it is idle, or its head or body is not complete."""

    def evict(self) -> None:
        """Close it to make room for others."""

    def abort(self) -> None:
        """Cut it, and drop what its client has not taken."""


@dataclass
class Load:
    """What the requests of one process hold: slots, bytes of bodies, connections, unsent bytes of answers."""

    max_connections: int
    max_connections_per_address: int
    max_body_bytes: int
    trusted_proxies: Sequence[Network] = ()
    in_work: int = 0
    body_bytes: int = 0
    connections: set[Connection] = field(default_factory=set)
    _of_address: dict[str, int] = field(default_factory=dict)
    _unsent: dict[Connection, int] = field(default_factory=dict)
    _refused_at: float = float("-inf")

    @property
    def overloaded(self) -> bool:
        return time.monotonic() - self._refused_at < OVERLOADED_S

    def refused(self, reason: str) -> None:
        """Record a refusal that says that the process can't take more."""
        self._refused_at = time.monotonic()
        REFUSED.labels(reason).inc()

    def hold_body(self, size: int) -> bool:
        """Count bytes of bodies in memory. Returns False if they are over the budget. Negative to give back."""
        self.body_bytes += size
        return self.body_bytes <= self.max_body_bytes

    def connect(self, connection: Connection) -> bool:
        """Count a new connection, closing waiting ones beyond the bounds. Returns False if there is no room for it."""
        address = connection.address
        self.connections.add(connection)
        self._of_address[address] = self._of_address.get(address, 0) + 1
        if len(self.connections) > self.max_connections:
            return self._make_room(connection, "")
        if self._of_address[address] > self.max_connections_per_address and not self._is_trusted(address):
            return self._make_room(connection, address)
        return True

    def disconnect(self, connection: Connection) -> None:
        self.connections.discard(connection)
        left = self._of_address.get(connection.address, 1) - 1
        if left > 0:
            self._of_address[connection.address] = left
        else:
            self._of_address.pop(connection.address, None)
        self.sent(connection)

    def _make_room(self, newest: Connection, address: str) -> bool:
        """Close the connections that have waited longest, of one address or of all ("")."""
        waiting = [
            each
            for each in self.connections
            if each is not newest and each.is_waiting() and address in ("", each.address)
        ]
        for each in sorted(waiting, key=lambda each: each.since)[:EVICTED_TOGETHER]:
            REFUSED.labels("connection_evicted").inc()
            each.evict()
        if not waiting:
            self.refused("connections")
        return bool(waiting)

    def _is_trusted(self, address: str) -> bool:
        """Return whether an address is a proxy, which brings the connections of many clients."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.trusted_proxies)

    def unsent(self, connection: Connection, size: int) -> None:
        """Record that a client has not read `size` bytes. Beyond the budget, the first recorded connections are cut."""
        self._unsent[connection] = size
        over = sum(self._unsent.values()) - MAX_UNSENT_BYTES
        for oldest, held in list(self._unsent.items()) if over > 0 else ():
            if over > 0:
                over -= held
                REFUSED.labels("slow_reader").inc()
                oldest.abort()

    def sent(self, connection: Connection) -> None:
        self._unsent.pop(connection, None)


class Slot:
    """A request's slot among the requests in work. It holds the slot only while there is something to compute."""

    __slots__ = ("_held", "_load")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._held = False

    def take(self) -> bool:
        """Take a place. Returns False if all are taken."""
        if self._load.in_work >= MAX_IN_WORK:
            self._load.refused("overloaded")
            return False
        self._load.in_work += 1
        self._held = True
        return True

    def release(self) -> None:
        if self._held:
            self._held = False
            self._load.in_work -= 1
