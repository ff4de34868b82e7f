"""Refusals of the simulated API: an HTTP status, Xendit's error code, a message and the fields at fault."""

from typing import Any

INVALID_KEY = (
    "The API key provided is invalid. Please make sure to use the secret/public API key that you can obtain from the "
    "Xendit Dashboard. See https://developers.xendit.co/api-reference/#authentication for more details"
)
BAD_FORMAT = "There was an error with the format submitted to the server."
BY_STATUS = {
    400: ("API_VALIDATION_ERROR", BAD_FORMAT),
    401: ("INVALID_API_KEY", INVALID_KEY),
    403: ("REQUEST_FORBIDDEN_ERROR", "The API key is forbidden to perform this request"),
    404: ("INVOICE_NOT_FOUND_ERROR", "Could not find invoice"),
    429: ("RATE_LIMIT_EXCEEDED", "Rate limit exceeded"),
}


class ApiError(Exception):
    """An answer that is not 200; `errors` lists the fields of a validation error."""

    def __init__(self, status: int, code: str, message: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors

    @classmethod
    def of_status(cls, status: int) -> "ApiError":
        """Return the error that Xendit most likely sends with an HTTP status."""
        code, message = BY_STATUS.get(status, ("SERVER_ERROR", "An unexpected error occurred, our team was notified"))
        return cls(status, code, message)

    def body(self, *, with_message: bool = True) -> dict[str, Any]:
        """Return the JSON body; clients have crashed on one without `message`."""
        body: dict[str, Any] = {"error_code": self.code}
        if with_message:
            body["message"] = self.message
        if self.errors is not None:
            body["errors"] = self.errors
        return body


class WrongState(Exception):
    """The status of the invoice does not allow the operation."""


class UnknownRefund(Exception):
    """No refund has this id."""


class UnknownInvoice(Exception):
    """No invoice has this id."""
