"""The pictures: each is one line."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shot:
    """A picture of a page.

    `address` may name an order of the story, as in `/orders/{late}`. `shows` is a text that is waited for. `away` are
    the programs that are stopped meanwhile; `{waiting}` is an order that is placed then.
    """

    name: str
    address: str
    shows: str = ""
    width: int = 1280
    height: int = 800
    dark: bool = False
    away: tuple[str, ...] = ()


SHOTS = (
    Shot("login", "/login"),
    Shot("orders", "/orders", "completed", height=480),
    Shot("order-completed", "/orders/{completed}", "payment.success", height=900),
    Shot("order-expired", "/orders/{expired}", "stock.rollback", height=900),
    Shot("order-refund-due", "/orders/{due}", "refund due", height=900),
    Shot("order-dark", "/orders/{late}", "refund succeeded", height=900, dark=True),
    Shot("order-375", "/orders/{late}", "refund succeeded", width=375, height=900),
    Shot("waiting", "/waiting"),
    Shot("money", "/money"),
    Shot("dead-letters", "/dead-letters", "payment.failed"),
    Shot("journal", "/dead-letters/journal"),
    Shot("events", "/events?order={completed}", "payment.success"),
    Shot("trace", "/orders/{completed}/trace", height=900),
    Shot("services", "/services", "paymentfc"),
    Shot("service", "/services/paymentfc", height=900),
    Shot("metrics", "/metrics-explorer", height=900),
    Shot("lab", "/lab"),
    # Late: paymentfc counts what is open every 30 s.
    Shot("overview", "/", "to be handled"),
    Shot("overview-dark", "/", "to be handled", dark=True),
    Shot("overview-375", "/", "to be handled", width=375, height=900),
    Shot("order-waiting", "/orders/{waiting}", "not applied", away=("paymentfc",)),
    Shot("overview-kafka-stopped", "/", "Kafka", away=("kafka",)),
    Shot("outbox-backlog", "/outbox", away=("kafka",)),
)
