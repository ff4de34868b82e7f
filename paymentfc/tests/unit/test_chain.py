"""The hash of an audit entry, in the form that docs/security.md describes."""

from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest

from paymentfc.model.chain import FIRST, chained, stored_time

ENTRY = {
    "event_id": "01a210a9-9ec2-78c3-b1f9-482d059d4740",
    "order_id": 1001,
    "payment_id": None,
    "user_id": 7,
    "external_id": "order-1001",
    "event": "payment.paid",
    "actor": "xendit",
    "metadata": {"status": "PAID", "amount": "90000.00", "note": 'Café "é"'},
    "create_time": datetime(2026, 11, 25, 8, 31, 0, 42_000, UTC),
}
CANONICAL = (
    '{"actor":"xendit","create_time":"2026-11-25T08:31:00.042Z","event":"payment.paid",'
    '"event_id":"01a210a9-9ec2-78c3-b1f9-482d059d4740","external_id":"order-1001",'
    '"metadata":{"amount":"90000.00","note":"Café \\"é\\"","status":"PAID"},"order_id":1001,"payment_id":null,'
    '"prev_hash":"0000000000000000000000000000000000000000000000000000000000000000","user_id":7}'
)


def test_the_hash_is_that_of_the_documented_form() -> None:
    linked = chained(ENTRY, FIRST)
    assert (linked["prev_hash"], linked["hash"]) == (FIRST, sha256(CANONICAL.encode()).hexdigest())


def test_neither_the_order_of_the_fields_nor_the_zone_of_the_time_changes_the_hash() -> None:
    time = ENTRY["create_time"]
    assert isinstance(time, datetime)
    turned = dict(reversed(ENTRY.items())) | {"create_time": time.astimezone(timezone(timedelta(hours=7)))}
    assert chained(turned, FIRST)["hash"] == chained(ENTRY, FIRST)["hash"]


@pytest.mark.parametrize("field", ENTRY)
def test_every_field_changes_the_hash(field: str) -> None:
    changed = {**ENTRY, field: "other"} if field != "create_time" else ENTRY | {field: datetime(2026, 1, 1, tzinfo=UTC)}
    assert chained(changed, FIRST)["hash"] != chained(ENTRY, FIRST)["hash"]


def test_a_time_is_kept_to_the_millisecond_that_mongodb_stores() -> None:
    moment = datetime(2026, 11, 25, 8, 31, 0, 42_999, UTC)
    assert stored_time(moment).microsecond == 42_000
