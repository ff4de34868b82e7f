"""Delivers callbacks in the background with Xendit's rules: 30 s, six retries, a static token, no promise of order."""

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import httpx2

from xendit_sim.config import Settings
from xendit_sim.faults import Faults
from xendit_sim.model import Clock, Invoice, Payment, Status, stamp
from xendit_sim.refund_model import Refund
from xendit_sim.store import Store, Webhook

MINUTE, HOUR = 60, 3600
CONNECTIONS = 64
# Shorter than servers keep idle connections, so that no connection is used while the server closes it.
IDLE_S = 2
GAPS_S = (15 * MINUTE, 45 * MINUTE, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR)

Sleep = Callable[[float], Awaitable[None]]

log = logging.getLogger(__name__)
ORDER = re.compile(r"order-([1-9][0-9]{0,17})")
# Of a delivery: the rest is in the store.
LOGGED = ("invoice_id", "external_id", "status", "kind", "attempt", "outcome", "status_code", "duration_ms", "error")


def new_webhook_id() -> str:
    return uuid.uuid4().hex


class Webhooks:
    """Sends webhooks and records each attempt. `faults` is read before each."""

    def __init__(
        self, settings: Settings, store: Store, faults: Callable[[], Faults], clock: Clock, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._settings = settings
        self._store = store
        self._faults = faults
        self._clock = clock
        self._sleep = sleep
        self._client = httpx2.AsyncClient(
            limits=httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=16, keepalive_expiry=IDLE_S),
            trust_env=False,
        )
        # Waiting for a slot is not part of the 30 s: a receiver that hangs must not shorten the time of others.
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: Webhook | None = None

    def announce(self, invoice: Invoice, status: Status, payment: Payment | None = None) -> asyncio.Event:
        """Make the webhook of a change and start its delivery; the event is set after the first attempt."""
        webhook = Webhook(
            new_webhook_id(), invoice.id, invoice.external_id, str(status), invoice.webhook(status, payment)
        )
        return self._start(webhook)

    def announce_refund(self, refund: Refund) -> asyncio.Event:
        """Make the webhook of a refund's end and start its delivery; the event is set after the first attempt."""
        draft = refund.draft
        webhook = Webhook(new_webhook_id(), draft.invoice_id, refund.external_id, str(refund.status), refund.webhook())
        webhook.refund_id = refund.id
        return self._start(webhook)

    def _start(self, webhook: Webhook) -> asyncio.Event:
        self._store.save_webhook(webhook)
        tried = asyncio.Event()
        faults = self._faults()
        if faults.takes_drop():
            self._end(webhook, "dropped")
            self._record(webhook, "first", {"outcome": "dropped"})
            tried.set()
        elif not faults.reorder_webhooks:
            self._spawn(self._deliver(webhook, tried))
        elif self._held is None:
            self._held = webhook
            tried.set()
        else:
            held, self._held = self._held, None
            self._spawn(self._swapped(webhook, held, tried))
        return tried

    def resend(self, webhook: Webhook, times: int, *, parallel: bool = False) -> None:
        """Deliver a webhook again, as the dashboard's button does: no retries, the same webhook-id."""

        async def one_by_one() -> None:
            for _ in range(times):
                await self._once(webhook)

        if not parallel:
            self._spawn(one_by_one())
            return
        for _ in range(times):
            self._spawn(self._once(webhook))

    def release(self) -> None:
        """Deliver the webhook that is held back for reordering."""
        if self._held:
            held, self._held = self._held, None
            self._spawn(self._deliver(held, asyncio.Event()))

    def resume(self) -> None:
        """Continue with the webhooks that an earlier process has not delivered."""
        for webhook in self._store.pending_webhooks():
            self._spawn(self._deliver(webhook, asyncio.Event()))

    async def stop(self) -> None:
        """Stop all deliveries; unfinished ones stay pending in the store."""
        self._held = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        await self.stop()
        await self._client.aclose()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _once(self, webhook: Webhook) -> None:
        outcome = await self._post(webhook, "resend")
        if outcome == "delivered" and webhook.state != "pending":
            self._end(webhook, outcome)

    async def _swapped(self, newer: Webhook, older: Webhook, tried: asyncio.Event) -> None:
        newer_tried = asyncio.Event()
        self._spawn(self._deliver(newer, newer_tried))
        await newer_tried.wait()
        await self._deliver(older, tried)

    async def _deliver(self, webhook: Webhook, tried: asyncio.Event) -> None:
        """Try until the webhook is delivered or no retry is left."""
        if delay := self._faults().delay_webhooks_s:
            await self._sleep(delay)
        while True:
            outcome = await self._try(webhook)
            if outcome != "delivered" and self._may_retry(webhook, outcome):
                tried.set()
                await self._sleep(GAPS_S[webhook.attempts - 1] * self._settings.retry_scale)
                continue
            self._end(webhook, outcome)
            break
        for _ in range(self._faults().duplicate_webhooks if outcome == "delivered" else 0):
            await self._post(webhook, "duplicate")
        tried.set()

    async def _try(self, webhook: Webhook) -> str:
        kind = "first" if webhook.attempts == 0 else "retry"
        webhook.attempts += 1
        self._store.save_webhook(webhook)
        return await self._post(webhook, kind)

    def _may_retry(self, webhook: Webhook, outcome: str) -> bool:
        faults = self._faults()
        if not faults.auto_retry or webhook.attempts > len(GAPS_S):
            return False
        return outcome == "failed" or faults.retry_timeouts

    def _end(self, webhook: Webhook, state: str) -> None:
        webhook.state = state
        self._store.save_webhook(webhook)

    async def _post(self, webhook: Webhook, kind: str) -> str:
        """Send once and record the attempt. Returns delivered (any 2xx), timeout, or failed (all else)."""
        faults = self._faults()
        token = self._settings.callback_token
        webhook_id = webhook.id if faults.keep_webhook_id else new_webhook_id()
        body = faults.with_unknown_fields(webhook.body)
        headers = {
            "content-type": "application/json",
            "x-callback-token": f"wrong-{token}" if faults.wrong_token else token,
            "webhook-id": webhook_id,
        }
        async with self._turns:
            started = time.monotonic()
            url = self._settings.refund_callback_url if webhook.refund_id else self._settings.callback_url
            result = await self._send(url, json.dumps(body).encode(), headers, faults.webhook_timeout_s)
        result["duration_ms"] = round((time.monotonic() - started) * 1000, 1)
        self._record(webhook, kind, result | {"webhook_id": webhook_id, "body": body})
        return str(result["outcome"])

    async def _send(self, url: str, content: bytes, headers: dict[str, str], timeout_s: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._client.post(url, content=content, headers=headers, timeout=None)
        except TimeoutError:
            return {"outcome": "timeout", "error": f"no answer within {timeout_s:g} s"}
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return {"outcome": "failed", "error": f"{type(error).__name__}: {error}".removesuffix(": ")}
        return {"outcome": "delivered" if answer.is_success else "failed", "status_code": answer.status_code}

    def _record(self, webhook: Webhook, kind: str, result: dict[str, Any]) -> None:
        delivery = {
            "webhook_id": webhook.id,
            "invoice_id": webhook.invoice_id,
            "external_id": webhook.external_id,
            "status": webhook.status,
            "kind": kind,
            "attempt": webhook.attempts,
            "at": stamp(self._clock()),
            "status_code": None,
            "error": None,
            "duration_ms": 0,
            "body": webhook.body,
        }
        self._store.add_delivery(delivery | result)
        _log(delivery | result)


def _log(delivery: dict[str, Any]) -> None:
    fields = {name: delivery[name] for name in LOGGED if delivery[name] is not None}
    if order := ORDER.fullmatch(delivery["external_id"]):
        fields["order_id"] = int(order[1])
    level = logging.INFO if delivery["outcome"] in ("delivered", "dropped") else logging.WARNING
    log.log(level, "callback sent", extra={"fields": fields})
