"""Has Xendit give money back, and follows a refund there to its end."""

import structlog

from chassis import telemetry
from chassis.db.database import Database
from chassis.failpoint import failpoint
from chassis.loops import backoff
from paymentfc.client.refunds import RefundGateway
from paymentfc.config import Settings
from paymentfc.errors import GatewayUnavailable, Refused
from paymentfc.model.payment import external_id
from paymentfc.model.refund import FAILED_WORDS, Answer, Refund, RefundStatus
from paymentfc.repository import payments, refund_work
from paymentfc.service.refunds import finish, have_sent

log = structlog.get_logger(__name__)

ACTOR = "scheduler"
LEASE_S = 30.0
# Without an answer. A wrong key or a missing permission is an administrator's to mend, and the refund goes on then.
AWAY_BACKOFF_S, AWAY_BACKOFF_CAP_S = 2.0, 600.0
POLL_CAP_S = 3600.0
# 401 and 403: key and permissions. 409: the earlier call with this key is still running.
NOT_ABOUT_THE_REFUND = (401, 403, 408, 409)


class SendRefunds:
    """Claims requested refunds, makes or reads them at Xendit, and stores how they end."""

    def __init__(self, db: Database, gateway: RefundGateway, settings: Settings) -> None:
        self._db = db
        self._gateway = gateway
        self._automatic = settings.refund_mode == "automatic"
        self._poll_s = settings.refund_poll_interval_s

    async def claim(self, limit: int) -> list[Refund]:
        """Claim refunds that are to be sent or looked at. In automatic mode those that are due are requested first."""
        if self._automatic:
            await self._request(limit)
        return await refund_work.claim(self._db, limit, LEASE_S)

    async def _request(self, limit: int) -> None:
        for order_id, refund_id in await refund_work.automatic(self._db, limit):
            async with self._db.transaction() as tx:
                payment = await payments.lock_order(tx, external_id(order_id))
                if payment is not None:
                    await have_sent(tx, payment, refund_id, ACTOR)

    async def send(self, refund: Refund) -> None:
        """Make a claimed refund at Xendit, or read it there."""
        with telemetry.work_span("send refund", refund.traceparent, refund.order_id):
            await self._send(refund)

    async def _send(self, refund: Refund) -> None:
        await failpoint("paymentfc.after_refund_claim")
        try:
            answer = await self._ask(refund)
        except Refused as error:
            if error.status in NOT_ABOUT_THE_REFUND or refund.gateway_id is not None:
                await self._postpone(refund, error)
            else:
                await self._finish(refund, RefundStatus.MANUAL, error.code)
            return
        except GatewayUnavailable as error:
            await self._postpone(refund, error)
            return
        await failpoint("paymentfc.after_refund_call")
        await self._apply(refund, answer)

    async def _ask(self, refund: Refund) -> Answer:
        """Read a refund that Xendit has; make one that it has not. An earlier call may have made it unnoticed."""
        if refund.gateway_id is not None:
            return await self._gateway.get(refund)
        if refund.attempts == 1:
            return await self._gateway.create(refund)
        return await self._find(refund) or await self._create_again(refund)

    async def _find(self, refund: Refund) -> Answer | None:
        try:
            return await self._gateway.find(refund)
        except Refused as error:
            # It says nothing of the refund, which an earlier call may have made.
            raise GatewayUnavailable(f"the refund can't be looked up: {error}") from error

    async def _create_again(self, refund: Refund) -> Answer:
        try:
            return await self._gateway.create(refund)
        except Refused:
            # The reason may be the refund itself: the earlier call's, listed only now.
            if found := await self._find(refund):
                return found
            raise

    async def _apply(self, refund: Refund, answer: Answer) -> None:
        if answer.status == "SUCCEEDED":
            await self._finish(refund, RefundStatus.SUCCEEDED, None, answer.id)
        elif answer.status in FAILED_WORDS:
            await self._finish(refund, RefundStatus.FAILED, answer.failure_code or answer.status, answer.id)
        else:
            wait_s = backoff(refund.attempts, self._poll_s, POLL_CAP_S)
            await refund_work.keep_pending(self._db, refund, answer.id, wait_s)

    async def _finish(
        self, refund: Refund, status: RefundStatus, code: str | None, gateway_id: str | None = None
    ) -> None:
        async with self._db.transaction() as tx:
            payment = await payments.lock_payment(tx, refund.order_id)
            ended = await finish(tx, payment, refund, status, code, gateway_id)
        if ended:
            log.info("refund ended", refund_id=refund.id, order_id=refund.order_id, status=status, code=code)

    async def _postpone(self, refund: Refund, error: Exception) -> None:
        wait_s = backoff(refund.attempts, AWAY_BACKOFF_S, AWAY_BACKOFF_CAP_S)
        await refund_work.postpone(self._db, refund, wait_s, str(error))
        log.warning("refund waits for Xendit", refund_id=refund.id, order_id=refund.order_id, error=str(error))
