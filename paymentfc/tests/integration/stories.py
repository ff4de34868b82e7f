"""Orders that are invoiced, told of and paid at the same time or one after the other, to compare the results."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeVar
from uuid import uuid4

from paymentfc.client.xendit import Draft
from paymentfc.model.callback import Callback
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import external_id

from .bench import TRACE, Bench
from .fakes import FakeXendit
from .runs import OWN, REFUND, TABLES

T = TypeVar("T")

ALL_TABLES = TABLES | {"payment_receipts": "external_id", "invoice_closings": "external_id"}
ALL_OWN = (*OWN, "lease_token", "lease_until")
# PostgreSQL refuses a text with this character, and with it the whole statement.
NUL = "\0"
# A payment with it is refused, see `planted`.
POISON = "poison"
PLANTED = f"ALTER TABLE payments ADD CONSTRAINT planted CHECK (receipt <> '{POISON}') NOT VALID"
UNPLANTED = "ALTER TABLE payments DROP CONSTRAINT planted"

MADE = ("", "unknown", "rejected", "told", "lost", "nul")
SAID = ("PAID", "SETTLED", "EXPIRED", "silence", "twice", "wrong", "other", "nul", "poison", "rejected")
MEANWHILE = ("", "rejected", "again", "lost", "denied", "away")


@dataclass(frozen=True)
class Story:
    """What happens to an order: before its invoice is stored, as its callback, and before that is confirmed.

    `unknown`: it has no payment. `lost`: another worker has the lease by then. `told`: a callback about another invoice
    came before its own was there.
    """

    made: str = ""
    said: str = "PAID"
    meanwhile: str = ""


def _identity(external: str, status: str, invoice_id: str, **fields: Any) -> Callback:
    told = Callback(invoice_id, external, status, Decimal(150_000), None, "IDR", receipt=f"pay-{external}")
    return replace(told, **fields)


def _trace(found: re.Match[str]) -> str:
    return found[1] if found[1].startswith("<") else "<another>"


@dataclass
class Scene:
    """The orders of one way of doing the steps; everything is told by their small numbers."""

    bench: Bench
    stories: Sequence[Story]
    together: bool
    orders: list[int] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        first = (uuid4().int >> 66) // 1000 * 1000
        self.orders = [first + number for number in range(len(self.stories))]
        self.bench.xendit.instead["create"] = self._create

    async def _create(self, draft: Draft) -> Invoice:
        story = self.stories[self.orders.index(int(draft.external_id.removeprefix("order-")))]
        url = f"https://pay/{draft.external_id}{NUL if story.made == 'nul' else ''}"
        return self.bench.xendit.put(draft.external_id, draft.amount, id=f"own-{draft.external_id}", invoice_url=url)

    async def play(self) -> dict[str, list[str]]:
        """Do all steps, and return how each of them ended and what the database holds."""
        for order_id, story in zip(self.orders, self.stories, strict=True):
            if story.made != "unknown":
                await self.bench.order(order_id)
        await self._make_invoices()
        await self._receive()
        await self._confirm()
        return {"ends": self.ends, **await self._rows()}

    async def _make_invoices(self) -> None:
        claims = []
        for order_id, story in zip(self.orders, self.stories, strict=True):
            claim = await self.bench.create.claim_order(order_id)
            if claim is None:
                continue
            claims.append(claim)
            if story.made == "rejected":
                await self.bench.rejected(order_id)
            elif story.made == "told":
                await self.bench.receive(_identity(external_id(order_id), "PAID", f"stray-{order_id}"))
            elif story.made == "lost":
                sql = "UPDATE payment_requests SET lease_token = gen_random_uuid() WHERE order_id = $1"
                await self.bench.execute(sql, order_id)
        await self._do(self.bench.create.make, claims)

    def _callbacks(self) -> list[Callback]:
        told: list[Callback] = []
        for order_id, story in zip(self.orders, self.stories, strict=True):
            own = f"own-{external_id(order_id)}"
            changes: dict[str, dict[str, Any]] = {
                "SETTLED": {"status": "SETTLED"},
                "EXPIRED": {"status": "EXPIRED", "receipt": None},
                "wrong": {"amount": Decimal(149_999)},
                "other": {"invoice_id": f"other-{order_id}"},
                "nul": {"receipt": NUL},
                "poison": {"receipt": POISON},
            }
            callback = _identity(external_id(order_id), "PAID", own)
            callback = replace(callback, **changes.get(story.said, {}))
            told += [callback] * {"silence": 0, "twice": 2}.get(story.said, 1)
        return told

    async def _receive(self) -> None:
        for order_id, story in zip(self.orders, self.stories, strict=True):
            if story.said == "rejected":
                await self.bench.rejected(order_id)
        callbacks = self._callbacks()
        for callback in callbacks:
            self.bench.xendit.agree(callback)
        await self._do(self.bench.receive, callbacks)

    async def _confirm(self) -> None:
        items = await self.bench.confirmations.claim(64)
        items.sort(key=lambda item: (item.external_id, item.invoice_id))
        for item in items:
            order_id = int(item.external_id.removeprefix("order-"))
            await self._meanwhile(order_id, self.stories[self.orders.index(order_id)].meanwhile, item.invoice_id)
        await self._do(self.bench.confirmations.confirm, items)

    async def _meanwhile(self, order_id: int, event: str, invoice_id: str) -> None:
        if event == "rejected":
            await self.bench.rejected(order_id)
        elif event == "again":
            await self.bench.receive(_identity(external_id(order_id), "SETTLED", invoice_id, receipt="further"))
        elif event == "lost":
            sql = "UPDATE payment_confirmations SET due_at = now() + interval '9 s' WHERE external_id = $1"
            await self.bench.execute(sql, external_id(order_id))
        elif event == "denied":
            self.bench.xendit.change(invoice_id, status="PENDING")
        elif event == "away":
            self.bench.xendit.invoices.pop(invoice_id, None)

    async def _do(self, work: Callable[[T], Awaitable[object]], items: Sequence[T]) -> None:
        if self.together:
            async with asyncio.timeout(20):
                ends = await asyncio.gather(*(work(item) for item in items), return_exceptions=True)
        else:
            ends = [(await asyncio.gather(work(item), return_exceptions=True))[0] for item in items]
        told = [type(end).__name__ if isinstance(end, BaseException) else str(end) for end in ends]
        # Of two that are equal either may be the first.
        self.ends += [
            sorted(end for end, other in zip(told, items, strict=True) if other == item)[items[:place].count(item)]
            for place, item in enumerate(items)
        ]

    async def _rows(self) -> dict[str, list[str]]:
        found = {}
        texts = [external_id(order_id) for order_id in self.orders]
        for table, column in ALL_TABLES.items():
            if table == "inbox":
                continue
            sql = f"SELECT to_jsonb(t)::text AS row FROM {table} AS t WHERE {column} = ANY($1)"
            rows = await self.bench.rows(sql, self.orders if column == "order_id" else texts)
            found[table] = sorted(self._told(json.loads(row["row"])) for row in rows)
        return found

    def _told(self, row: dict[str, Any]) -> str:
        told = {name: value for name, value in row.items() if name not in ALL_OWN}
        for name in told:
            if name.endswith(("_at", "_time", "_after")):
                told[name] = told[name] is not None
        # The trace of the order, and others, which are new ones each time.
        known = json.dumps(told, sort_keys=True).replace(TRACE[:35], "<trace>")
        text = re.sub("(<trace>|00-[0-9a-f]{32})-[0-9a-f]{16}-0.", _trace, known)
        text = REFUND.sub(r"\1", text)
        for number, order_id in enumerate(self.orders):
            text = text.replace(str(order_id), f"<{number}>")
        return text


def stage(bench: Bench, stories: Sequence[Story], *, together: bool) -> Scene:
    """Return a scene with a gateway of its own."""
    return Scene(Bench(bench.settings, bench.db, FakeXendit(), bench.users), stories, together)
