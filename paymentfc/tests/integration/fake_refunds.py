"""A fake of refunds at Xendit: the client's own class, which answers from memory."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import uuid4

from paymentfc.client.refunds import RefundGateway
from paymentfc.errors import GatewayBusy, GatewayUnavailable, Refused
from paymentfc.model.refund import Answer, Refund


class FakeRefunds(RefundGateway):
    """Keeps refunds by their reference, each made with `outcome`.

    Each call takes one of `faults`: down, busy, commit_then_fail, not_listed, or the status and code of a refusal such
    as `400 REFUND_NOT_SUPPORTED`. `after` is awaited once, when the next refund is made and not yet answered.
    """

    def __init__(self) -> None:
        self.made: dict[str, Answer] = {}
        self.outcome, self.failure_code = "SUCCEEDED", "INSUFFICIENT_BALANCE"
        self.faults: list[str] = []
        self.calls: list[str] = []
        self.after: Callable[[], Awaitable[object]] | None = None

    def end(self, refund_id: int, status: str = "SUCCEEDED") -> None:
        """End a pending refund at Xendit."""
        name = f"refund-{refund_id}"
        code = self.failure_code if status == "FAILED" else None
        self.made[name] = replace(self.made[name], status=status, failure_code=code)

    def _fault(self, call: str) -> str:
        self.calls.append(call)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "down":
            raise GatewayUnavailable("down")
        if fault == "busy":
            raise GatewayBusy("429")
        if fault and fault not in ("commit_then_fail", "not_listed"):
            status, _, code = fault.partition(" ")
            raise Refused(int(status), code, "no")
        return fault

    async def create(self, refund: Refund) -> Answer:
        fault = self._fault("create")
        code = self.failure_code if self.outcome == "FAILED" else None
        money = (refund.amount, refund.currency)
        new = Answer(f"rfd-{uuid4()}", refund.reference, self.outcome, *money, code, refund.invoice_id)
        made = self.made.setdefault(refund.reference, new)
        if self.after:
            after, self.after = self.after, None
            await after()
        if fault == "commit_then_fail":
            raise GatewayUnavailable("timed out")
        return made

    async def get(self, refund: Refund) -> Answer:
        self._fault("get")
        found = next((answer for answer in self.made.values() if answer.id == refund.gateway_id), None)
        if found is None:
            raise Refused(404, "DATA_NOT_FOUND", "no such refund")
        return found

    async def find(self, refund: Refund) -> Answer | None:
        return None if self._fault("find") == "not_listed" else self.made.get(refund.reference)
