"""What the lab can do, and what it has done."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

MAX_ORDERS = 50
MAX_QUANTITY = 5
MAX_BUYERS = 20
MAX_SWITCHES = 4_000
# Orders of poison do not exist, so that no customer's order is touched.
POISONED_ORDER = 7_100_000_000

ENDS: Mapping[str, str] = {
    "nothing": "leave unpaid",
    "pay": "pay",
    "expire": "let the invoice expire",
    "wrong": "pay a wrong amount",
    "twice": "pay twice",
    "late": "pay after the invoice has expired",
}
# Name, and what the record has as its value.
POISON: Mapping[str, tuple[str, bytes | None]] = {
    "no_json": ("no JSON", b"this is no JSON"),
    "wrong_type": ("JSON with a field of a wrong type", b'{"order_id": "forty-two"}'),
    "missing": ("JSON without its fields", b"{}"),
    "null": ("no value", None),
    "binary": ("bytes that are no text", b"\xff\xfe\x00\x01"),
}
# Some of the simulator's switches; its README has all of them.
PRESETS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "none": ("end all faults", {}),
    "lost": ("callbacks are lost", {"drop_webhooks": True}),
    "repeated": ("each callback comes four times", {"duplicate_webhooks": 3}),
    "late": ("callbacks come 5 s late", {"delay_webhooks_s": 5}),
    "reordered": ("callbacks come in the wrong order", {"reorder_webhooks": True}),
    "forged": ("callbacks have a wrong token", {"wrong_token": True}),
    "down": ("no invoice can be made: 503", {"create_status": {"status": 503}}),
    "twice_down": ("the next two invoices fail: 503", {"create_status": {"status": 503, "times": 2}}),
    "made_and_failed": ("the next invoice is made, and answered with 500", {"create_fails_after_commit": 1}),
    "slow": ("an invoice takes 8 s", {"create_delay_s": 8}),
    "refused": ("invoices are refused: 403", {"create_status": {"status": 403}}),
    "refund_failed": ("refunds fail", {"refund_outcome": "FAILED"}),
    "no_refunds": ("the channel gives no refunds", {"refunds_supported": False}),
}


@dataclass(frozen=True, slots=True)
class Done:
    """One thing that was done: a sentence, the orders that it is about, and what went wrong."""

    at: datetime
    text: str
    orders: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()
    link: str = ""
