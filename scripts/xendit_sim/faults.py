"""The switches of the control API: which faults the simulator has, and how often."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Times = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, le=600)]


class StatusFault(BaseModel):
    """An HTTP status instead of the result; without `times` until it is changed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    status: Annotated[int, Field(ge=400, le=599)]
    times: Times | None = None


def _from_number(value: object) -> object:
    return {"status": value} if isinstance(value, int) and not isinstance(value, bool) else value


StatusSwitch = Literal[
    "create_status", "get_status", "list_status", "expire_status", "refund_status", "refund_get_status"
]
MaybeStatus = Annotated[StatusFault | None, BeforeValidator(_from_number)]


class Faults(BaseModel):
    """All switches with their defaults: Xendit without faults, with expiry callbacks switched on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    create_status: MaybeStatus = None
    create_fails_after_commit: Times = 0
    create_delay_s: Seconds = 0
    get_status: MaybeStatus = None
    list_status: MaybeStatus = None
    expire_status: MaybeStatus = None
    error_without_message: bool = False
    unknown_fields: bool = False
    answer_padding: Annotated[int, Field(ge=0, le=64 * 1024 * 1024)] = 0
    refuse_email: bool = False
    rate_limit: Annotated[int, Field(ge=1)] | None = None
    min_amount: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max_amount: Annotated[float, Field(allow_inf_nan=False)] | None = None

    refund_status: MaybeStatus = None
    refund_get_status: MaybeStatus = None
    refund_fails_after_commit: Times = 0
    refund_delay_s: Seconds = 0
    refund_outcome: Literal["SUCCEEDED", "FAILED", "PENDING"] = "SUCCEEDED"
    refund_failure_code: Annotated[str, Field(pattern="^[A-Z_]{1,64}$")] | None = None
    refunds_supported: bool = True

    auto_pay: bool = False
    webhook_before_response: bool = False
    late_payment_status: Literal["EXPIRED", "PAID"] = "EXPIRED"

    expired_webhooks: bool = True
    drop_webhooks: bool | Times = False
    duplicate_webhooks: Times = 0
    delay_webhooks_s: Seconds = 0
    reorder_webhooks: bool = False
    wrong_token: bool = False
    auto_retry: bool = True
    retry_timeouts: bool = False
    keep_webhook_id: bool = True
    webhook_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30

    @model_validator(mode="before")
    @classmethod
    def _null_is_default(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given

    def status_of(self, name: StatusSwitch) -> int | None:
        """Return the status to fail with, if any, and count one use."""
        fault: StatusFault | None = getattr(self, name)
        if fault is None or fault.times == 0:
            return None
        if fault.times is not None:
            fault.times -= 1
        return fault.status

    def takes_create_failure(self) -> bool:
        """Whether this create fails after its commit; counts one use."""
        if self.create_fails_after_commit == 0:
            return False
        self.create_fails_after_commit -= 1
        return True

    def takes_refund_failure(self) -> bool:
        """Whether this refund fails after its commit; counts one use."""
        if self.refund_fails_after_commit == 0:
            return False
        self.refund_fails_after_commit -= 1
        return True

    def takes_drop(self) -> bool:
        """Whether this webhook is dropped; counts one use."""
        if self.drop_webhooks is True:
            return True
        if not self.drop_webhooks:
            return False
        self.drop_webhooks -= 1
        return True

    def with_unknown_fields(self, body: dict[str, Any]) -> dict[str, Any]:
        """Add unknown fields if that is switched on."""
        return body | {"x_new_field": {"nested": [1, None, "ü"]}, "is_new": True} if self.unknown_fields else body
