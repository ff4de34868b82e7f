"""Reads an invoice in an answer of Xendit: only what paymentfc needs must be readable, and is bounded."""

from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit

from paymentfc.errors import GatewayUnavailable, cleaned
from paymentfc.model.invoices import Invoice

MAX_ID, MAX_WORD, MAX_URL, MAX_DIGITS = 255, 64, 2048, 30


def read_invoice(body: object, schemes: tuple[str, ...]) -> Invoice:
    """Return the invoice; its address has one of the schemes. Raises GatewayUnavailable for an unreadable field."""
    fields = Fields(body, "invoice")
    amount = fields.amount("amount")
    if amount is None:
        raise GatewayUnavailable("Xendit's invoice has no readable amount")
    return Invoice(
        id=fields.text("id", MAX_ID),
        external_id=fields.text("external_id", MAX_ID),
        status=fields.text("status", MAX_WORD),
        amount=amount,
        currency=fields.currency(),
        paid_amount=fields.amount("paid_amount"),
        invoice_url=fields.address("invoice_url", schemes),
        expiry_date=fields.time("expiry_date"),
        created=fields.time("created"),
        receipt=fields.optional_text("payment_id", MAX_ID),
    )


def _is_plain(amount: Decimal) -> bool:
    return amount.is_finite() and abs(amount.adjusted()) <= MAX_DIGITS and len(amount.as_tuple().digits) <= MAX_DIGITS


class Fields:
    """Reads the fields of an answer: unknown ones are ignored, only those that paymentfc needs must be readable."""

    def __init__(self, body: object, kind: str) -> None:
        if not isinstance(body, dict):
            raise GatewayUnavailable(f"Xendit's answer is no {kind}")
        self._body, self._kind = body, kind

    def text(self, name: str, most: int) -> str:
        value = self.optional_text(name, most)
        if value is None:
            raise GatewayUnavailable(f"Xendit's {self._kind} has no readable {name}")
        return value

    def optional_text(self, name: str, most: int) -> str | None:
        """Return a text of 1 to `most` bytes, else None."""
        value = self._body.get(name)
        valid = isinstance(value, str) and value == cleaned(value) and 0 < len(value.encode()) <= most
        return str(value) if valid else None

    def currency(self) -> str:
        """Return the currency, "" where it is left out: a platform has one."""
        return "" if self._body.get("currency") is None else self.text("currency", MAX_WORD)

    def address(self, name: str, schemes: tuple[str, ...]) -> str | None:
        """Return an absolute URL that a browser can be sent to. Raises GatewayUnavailable for any other text."""
        value = self._body.get(name)
        if value is None:
            return None
        text = self.optional_text(name, MAX_URL) or ""
        try:
            parts = urlsplit(text)
            valid = parts.scheme in schemes and bool(parts.hostname) and text.isascii() and text.isprintable()
        except ValueError:
            valid = False
        if not valid or " " in text or "\\" in text:
            raise GatewayUnavailable(f"Xendit's {self._kind} has no valid {name}")
        return text

    def amount(self, name: str) -> Decimal | None:
        """Return an amount, None where it is left out. Raises GatewayUnavailable for one that can't be read."""
        value = self._body.get(name)
        if value is None:
            return None
        if not isinstance(value, Decimal) or not _is_plain(value):
            raise GatewayUnavailable(f"Xendit's {self._kind} has no readable {name}")
        return value

    def time(self, name: str) -> datetime | None:
        value = self._body.get(name)
        try:
            parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            return None
        return parsed.replace(tzinfo=parsed.tzinfo or UTC) if parsed else None
