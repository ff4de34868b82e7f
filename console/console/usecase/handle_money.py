"""What a person decides about money: an anomaly is resolved, a refund approved or settled. paymentfc keeps who did."""

from dataclasses import dataclass
from typing import Any

from console.client.admin_api import AdminApi, NoAnswer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What paymentfc has answered: the row, or why it refuses."""

    row: Any | None
    refusal: str = ""
    still_due: bool = False


async def resolve_anomaly(api: AdminApi, anomaly_id: int, note: str, *, close: bool) -> Outcome:
    """Note what was done about an anomaly. `still_due`: a refund of its order waits for a person all the same."""
    body: dict[str, Any] = {"note": note, **({"action": "close"} if close else {})}
    outcome = await _post(api, f"/v1/payments/anomalies/{anomaly_id}/resolve", body)
    if outcome.row is None or outcome.row["order_id"] is None:
        return outcome
    try:
        due = await api.get(
            "paymentfc", "/v1/payments/refunds", status="DUE", order_id=outcome.row["order_id"], page_size=1
        )
    except NoAnswer:
        return outcome
    return Outcome(outcome.row, still_due=bool(due and due["total"]))


async def approve_refund(api: AdminApi, refund_id: int) -> Outcome:
    """Have Xendit give the money back."""
    return await _post(api, f"/v1/payments/refunds/{refund_id}/approve", {})


async def settle_refund(api: AdminApi, refund_id: int, note: str) -> Outcome:
    """Note that a person has given the money back."""
    return await _post(api, f"/v1/payments/refunds/{refund_id}/settle", {"note": note})


async def _post(api: AdminApi, path: str, body: dict[str, Any]) -> Outcome:
    try:
        status, answer = await api.post("paymentfc", path, body)
    except NoAnswer as error:
        return Outcome(None, f"paymentfc did not answer ({error}): look whether it was done before you try again")
    return Outcome(answer) if status < 300 else Outcome(None, str(answer.get("error", f"paymentfc answers {status}")))
