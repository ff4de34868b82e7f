"""The brokers of a stack: one, or the three that its data was begun with. The choice is kept with the data."""

import json
import os
from base64 import urlsafe_b64encode
from pathlib import Path
from uuid import uuid4

from fc.stack.errors import StackError
from fc.stack.layout import Layout
from fc.stack.lock import locked
from servers.kafka import Cluster, Kafka

NAMES = ("kafka", "kafka-2", "kafka-3")
COUNTS = (1, len(NAMES))


def folder(layout: Layout) -> Path:
    """Return the folder that remembers the cluster; without it there is one broker."""
    return layout.home / "data" / "brokers"


def cluster(layout: Layout) -> Cluster | None:
    """Return the cluster of three brokers that was chosen for this stack, if any."""
    file = folder(layout) / "cluster.json"
    # Not Path.exists, which raises where the folder can't be one: that is said when the stack is locked.
    if not os.path.exists(file):
        return None
    kept = json.loads(file.read_text(encoding="utf-8"))
    ports = tuple(layout.port(name) for name in NAMES)
    return Cluster(folder(layout), kept["identity"], ports, tuple(kept["directories"]))


def of(layout: Layout) -> list[Kafka]:
    """Return the stack's brokers."""
    chosen = cluster(layout)
    names = NAMES if chosen else NAMES[:1]
    return [
        Kafka(layout.home / "data" / name, layout.port(name), node=node, cluster=chosen)
        for node, name in enumerate(names, start=1)
    ]


def choose(layout: Layout, count: int) -> None:
    """Remember how many brokers the stack has. Raises StackError when its data is of another number of them."""
    if count not in COUNTS:
        raise StackError(f"--brokers takes {COUNTS[0]} or {COUNTS[1]}, got {count}")
    now = len(of(layout))
    if count == now:
        return
    if any((broker.home / "data" / "meta.properties").exists() for broker in of(layout)):
        raise StackError(
            f"the data in {layout.home} is of {_named(now)} and can't become that of {_named(count)}. "
            "`fc down --wipe` removes it; FC_HOME=<folder> leaves it and starts beside it"
        )
    with locked(layout.home):
        _remember(layout, count)


def _remember(layout: Layout, count: int) -> None:
    file = folder(layout) / "cluster.json"
    if count == 1:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"identity": _uuid(), "directories": [_uuid() for _ in range(count)]})
    # In one step: half a file would name another cluster.
    new = file.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.rename(file)


def _named(count: int) -> str:
    return "one broker" if count == 1 else f"{count} brokers"


def _uuid() -> str:
    """Return a new id as Kafka writes them; its tools refuse one that begins with a dash."""
    while True:
        text = urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
