"""The refusals of the payment service, and the failures of the payment gateway.

AppError
├── Unauthenticated
│   └── InvalidCallbackToken   invalid_callback_token
├── Invalid
│   └── NotACallback           validation_failed
├── NotFound
│   ├── PaymentNotFound        not_found
│   ├── InvoiceNotFound        not_found
│   ├── AnomalyNotFound        not_found
│   ├── RefundNotFound         not_found
│   └── FailedEventNotFound    not_found
├── Conflict
│   ├── PaymentClosed          payment_closed
│   ├── PaymentDisputed        payment_disputed
│   ├── AnomalyNotClosable     anomaly_not_closable
│   ├── NotRefundable          not_refundable
│   └── RefundNotOpen          refund_not_open
├── Unprocessable
│   └── KeyReused              idempotency_key_reused
└── Unavailable
    ├── InvoiceNotReady        unavailable
    ├── GatewayUnavailable     unavailable: no answer, or one that leaves the result of the call open
    │   └── GatewayBusy        unavailable: over the gateway's rate limit (429)
    ├── DrawingUnavailable     unavailable: too many PDFs at once, or one takes too long
    └── AuditUnavailable       unavailable
DrawingFailed                  a defect of the PDF's template
Refused                        the gateway refused (4xx except 429): the same call cannot succeed; counts as a try
"""

from decimal import Decimal

from chassis.errors import Conflict, Invalid, NotFound, Unauthenticated, Unavailable, Unprocessable


def cleaned(text: str) -> str:
    """Replace what PostgreSQL can't store in a text: NUL, and lone surrogates."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


class InvalidCallbackToken(Unauthenticated):
    code = "invalid_callback_token"

    def __init__(self) -> None:
        super().__init__("invalid callback token")


class NotACallback(Invalid):
    def __init__(self, problem: str = "the body is not valid JSON") -> None:
        super().__init__(problem)


class PaymentNotFound(NotFound):
    """The order has no payment, or none that the caller may see. Both must have the same answer."""

    def __init__(self, order_id: int) -> None:
        super().__init__(f"there is no payment for order {order_id}")


class InvoiceNotFound(NotFound):
    """The payment has no invoice yet."""

    def __init__(self, order_id: int) -> None:
        super().__init__(f"there is no invoice for order {order_id}")


class AnomalyNotFound(NotFound):
    def __init__(self, anomaly_id: int) -> None:
        super().__init__(f"there is no anomaly {anomaly_id}")


class FailedEventNotFound(NotFound):
    def __init__(self, row_id: int) -> None:
        super().__init__(f"there is no failed event {row_id}")


class RefundNotFound(NotFound):
    def __init__(self, refund_id: int) -> None:
        super().__init__(f"there is no refund {refund_id}")


class PaymentClosed(Conflict):
    """The payment is paid, expired or failed and needs no invoice."""

    code = "payment_closed"

    def __init__(self, order_id: int, status: str) -> None:
        super().__init__(f"the payment of order {order_id} is {status}")


class PaymentDisputed(Conflict):
    """The gateway reports something else than our records about the order's invoice; it needs no second one."""

    code = "payment_disputed"

    def __init__(self, order_id: int) -> None:
        super().__init__(f"the payment of order {order_id} does not fit its invoice and is being looked at")


class AnomalyNotClosable(Conflict):
    """Only money of a wrong amount or currency, or an unknown status, closes an order."""

    code = "anomaly_not_closable"

    def __init__(self, anomaly_id: int, kind: str) -> None:
        super().__init__(f"anomaly {anomaly_id} is {kind}, which closes no order")


class NotRefundable(Conflict):
    """More is asked back than was paid for the order and is not given back yet."""

    code = "not_refundable"

    def __init__(self, order_id: int, left: Decimal, currency: str) -> None:
        super().__init__(f"of order {order_id} at most {left:f} {currency} can be given back")


class RefundNotOpen(Conflict):
    """The refund has another status than the one that this step needs."""

    code = "refund_not_open"

    def __init__(self, refund_id: int, status: str) -> None:
        super().__init__(f"refund {refund_id} is {status}")


class KeyReused(Unprocessable):
    """The key belongs to an earlier request with another body."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("this idempotency key was used with another request")


class InvoiceNotReady(Unavailable):
    """The invoice cannot be made now; the background loops go on trying."""

    def __init__(self) -> None:
        super().__init__("the invoice can't be made now, please try again")


class GatewayUnavailable(Unavailable):
    """The gateway did not answer, or its answer leaves the result open: network error, 429, 5xx, unreadable body."""


class GatewayBusy(GatewayUnavailable):
    """The gateway's rate limit is reached; further calls would only use up what is left for others."""


class AuditUnavailable(Unavailable):
    """MongoDB did not answer, or did not confirm a write."""

    def __init__(self, problem: str = "the audit log is not available") -> None:
        super().__init__(problem)


class DrawingUnavailable(Unavailable):
    """The PDF can't be drawn now."""


class DrawingFailed(Exception):
    """The typesetter reports an error: a defect of the template."""


class Refused(Exception):
    """The gateway refused: `status` is HTTP's, `code` its error_code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(cleaned(f"{status} {code}: {message}"))
        self.status = status
        self.code = code

    @property
    def no_such_invoice(self) -> bool:
        """Whether the gateway itself has no such invoice; a 404 of a proxy says nothing about invoices."""
        return self.status == 404 and self.code == "INVOICE_NOT_FOUND_ERROR"
