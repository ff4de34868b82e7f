"""Writes docs/saga.md: every event from the use-case that publishes it to the use-case that consumes it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.topics import CONSUMERS, PRODUCERS, TOPICS, Topic
from contracts.usecases import Code, Consumer
from lint.sources import read
from orderfc.model import Cause, Status, transition

_ORDERS = "orderfc"
_ROLLBACK = "stock.rollback"
# Reached in the code but never published: closing a payment for a reason that orderfc knows itself makes no event.
_NEVER = frozenset(("paymentfc", name, "payment.failed") for name in ("close_rejected_order", "close_cancelled_order"))

_HEAD = """\
<!-- Made by `python -m contracts write` from the code. Do not edit. -->
# The saga on one screen

No component directs an order through the services. Each service reacts to events and publishes its own
([ADR 13](adr/0013-choreography.md)). A customer's checkout starts the saga. It ends when the order is completed,
cancelled or failed. [events.md](events.md) describes the fields of each event, [architecture.md](architecture.md) the
outbox and the inbox that carry them.

Each row is one arrow of the picture, or a part of one with many publishers. `orderfc: checkout` is the module
`orderfc/orderfc/usecase/checkout.py`. The order of arrival does not matter: an event that allows no change of the
order's status leaves it as it is. The last column names what compensates the event's effect: `stock.rejected` and
`order.cancelled` close the payment, `stock.rollback` returns the stock, and a refund gives back money that was paid for
an order that failed. A customer may cancel an order that is not paid (`cancel_order`).

| Topic | Published by | Consumed by | Changes of the order | May publish | Compensation |
| --- | --- | --- | --- | --- | --- |
"""
_PICTURE = """
Between `register_payment` and the payment's result, paymentfc makes the invoice: `create_invoice` takes the stored
request, `receive_callback` receives the callbacks of Xendit, `confirm_callbacks` asks Xendit whether they are true, and
`check_invoices` asks when none arrives.

```mermaid
flowchart LR
"""


# In one row of the table, so that it can be read.
MAX_PRODUCERS = 3


@dataclass(frozen=True)
class Arrow:
    """One topic on its way to one consumer. `changes` are those of the order's status, `then` the topics published."""

    topic: Topic
    producers: tuple[str, ...]
    consumer: Consumer
    changes: tuple[str, ...]
    then: tuple[str, ...]


class Disagreement(Exception):
    """Code and contract name different producers or consumers of a topic."""


def page(root: Path) -> str:
    """Write the page from the sources of a checkout. Raises Disagreement."""
    found = arrows(Code([source for source in read(root) if source.group == "product"]))
    return f"{_HEAD}{''.join(row for arrow in found for row in _rows(arrow))}{_PICTURE}{''.join(_picture(found))}```\n"


def arrows(code: Code) -> list[Arrow]:
    """Return the arrows in the order of the contract's topics. Raises Disagreement."""
    consumers = {service: code.consumers(service) for service in dict.fromkeys(sum(CONSUMERS.values(), ()))}
    for service, usecase, topic in _NEVER:
        if topic not in code.publishes(service, usecase):
            raise Disagreement(f"{service}'s {usecase} does not reach {topic} any more: remove it from saga.py")
    for service, of in consumers.items():
        if of.keys() != (contracted := {topic for topic, services in CONSUMERS.items() if service in services}):
            raise Disagreement(f"{service}'s handlers consume {sorted(of)}, the contract says {sorted(contracted)}")
    return [
        _arrow(code, topic, consumers[service][topic.name]) for topic in TOPICS for service in CONSUMERS[topic.name]
    ]


def _arrow(code: Code, topic: Topic, consumer: Consumer) -> Arrow:
    producers = [name for name in code.usecases(topic.producer) if topic.name in _published(code, topic.producer, name)]
    if not producers:
        raise Disagreement(f"no use-case of {topic.producer} publishes {topic.name}")
    if consumer.usecase not in code.usecases(consumer.service):
        raise Disagreement(f"{consumer.service}'s handler of {topic.name} calls not one use-case: {consumer.usecase!r}")
    changes, rolls_back = _transitions(consumer)
    then = _published(code, consumer.service, consumer.usecase)
    if consumer.service == _ORDERS and not rolls_back:
        then.discard(_ROLLBACK)
    in_order = tuple(name for name in PRODUCERS if name in then)
    return Arrow(topic, tuple(producers), consumer, changes, in_order)


def _published(code: Code, service: str, usecase: str) -> set[str]:
    return {topic for topic in code.publishes(service, usecase) if (service, usecase, topic) not in _NEVER}


def _transitions(consumer: Consumer) -> tuple[tuple[str, ...], bool]:
    """Return the changes that a consumer's causes allow, and whether one of them gives stock back."""
    allowed = [(status, transition(status, Cause[name])) for name in sorted(consumer.causes) for status in Status]
    changes = [f"{status.wire}→{change.status.wire}" for status, change in allowed if change.status is not None]
    return tuple(changes), any(change.publish_rollback for _, change in allowed)


def _rows(arrow: Arrow) -> Iterator[str]:
    for at in range(0, len(arrow.producers), MAX_PRODUCERS):
        yield _row(arrow, arrow.producers[at : at + MAX_PRODUCERS])


def _row(arrow: Arrow, producers: Sequence[str]) -> str:
    cells = [
        f"`{arrow.topic.name}`",
        f"{arrow.topic.producer}: {', '.join(producers)}",
        f"{arrow.consumer.service}: {arrow.consumer.usecase}",
        ", ".join(arrow.changes),
        ", ".join(f"`{topic}`" for topic in arrow.then),
        arrow.topic.compensation,
    ]
    return f"| {' | '.join(cell or '-' for cell in cells)} |\n"


def _picture(found: list[Arrow]) -> Iterator[str]:
    boxes: dict[str, set[str]] = {}
    topics: dict[tuple[str, str], list[str]] = {}
    for arrow in found:
        boxes.setdefault(arrow.topic.producer, set()).update(arrow.producers)
        boxes.setdefault(arrow.consumer.service, set()).add(arrow.consumer.usecase)
        for producer in arrow.producers:
            topics.setdefault((producer, arrow.consumer.usecase), []).append(arrow.topic.name)
    for service, usecases in boxes.items():
        yield f"  subgraph {service}\n{''.join(f'    {name}{chr(10)}' for name in sorted(usecases))}  end\n"
    for (producer, consumer), names in topics.items():
        yield f'  {producer} -- "{"<br/>".join(names)}" --> {consumer}\n'
