"""The refusals of the payment service, and what can go wrong with the payment gateway.

AppError
├── Unauthenticated
│   └── InvalidCallbackToken   invalid_callback_token
├── Invalid
│   └── NotACallback           validation_failed
├── NotFound
│   ├── PaymentNotFound        not_found
│   └── NoSuchRow              not_found: an anomaly or a failed event that is not there
├── Conflict
│   └── PaymentClosed          payment_closed
└── Unavailable
    ├── InvoiceNotReady        unavailable
    ├── GatewayUnavailable     unavailable: no answer, or none that says what happened
    │   └── GatewayBusy        unavailable: over the gateway's rate limit (429)
    └── AuditUnavailable       unavailable
Refused                        the gateway's own "no" (4xx but 429): the same call can't succeed; counts as a try
"""

from chassis.errors import Conflict, Invalid, NotFound, Unauthenticated, Unavailable


def cleaned(text: str) -> str:
    """Replace what PostgreSQL can't store in a foreign text: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


class InvalidCallbackToken(Unauthenticated):
    """The callback does not carry our token."""

    code = "invalid_callback_token"


class NotACallback(Invalid):
    """The body is not an invoice callback."""


class PaymentNotFound(NotFound):
    """There is no payment of that order, or none that this caller may see."""


class NoSuchRow(NotFound):
    """There is no row with that id in one of the lists for administrators."""


class PaymentClosed(Conflict):
    """The payment is paid, expired or failed: there is nothing left to invoice."""

    code = "payment_closed"


class InvoiceNotReady(Unavailable):
    """The invoice can't be made now; the background goes on trying."""


class GatewayUnavailable(Unavailable):
    """No answer from the gateway, or one that leaves open what happened: network, 429, 5xx, unreadable."""


class GatewayBusy(GatewayUnavailable):
    """The gateway's rate limit is reached: more calls now would only take from each other."""


class AuditUnavailable(Unavailable):
    """MongoDB does not answer."""


class Refused(Exception):
    """The gateway refused: `status` is HTTP's, `code` its error_code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(cleaned(f"{status} {code}: {message}"))
        self.status = status
        self.code = code

    @property
    def no_such_invoice(self) -> bool:
        """Tell whether the gateway itself knows no such invoice: a proxy's 404 says nothing about invoices."""
        return self.status == 404 and self.code == "INVOICE_NOT_FOUND_ERROR"
