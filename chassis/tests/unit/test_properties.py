"""Money, event ids and messages, for every amount of a currency and for whatever bytes a topic may hold."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from chassis.errors import Invalid, InvalidMessage
from chassis.events import Event, Message, parse, wire_headers
from chassis.ids import PositiveId, Text, request_id, uuid7
from chassis.money import Money, check_amount, places

LIMIT = 9_999_999_999
CURRENCIES = {"IDR": 0, "JPY": 0, "USD": 2, "EUR": 2}


class Priced(BaseModel):
    """Something with a price."""

    price: Money


class Line(BaseModel):
    """A line as services read it."""

    product_id: PositiveId
    quantity: int = Field(strict=True, ge=1)
    price: Money | None = None


class Payload(BaseModel):
    """A payload with everything that services read."""

    order_id: PositiveId
    total: Money
    lines: list[Line] = Field(default_factory=list)
    note: Text = ""
    at: datetime | None = None


@st.composite
def amounts(draw: st.DrawFn) -> tuple[str, Decimal]:
    """Draw a currency and any amount that it can express."""
    currency = draw(st.sampled_from(sorted(CURRENCIES)))
    decimals = CURRENCIES[currency]
    return currency, Decimal(draw(st.integers(0, LIMIT * 10**decimals))).scaleb(-decimals)


@given(amounts())
def test_every_amount_of_a_currency_goes_out_and_comes_back_to_the_last_unit(priced: tuple[str, Decimal]) -> None:
    currency, amount = priced
    assert places(currency) == CURRENCIES[currency]
    assert check_amount(amount, currency) == amount
    sent = Priced(price=amount).model_dump_json()
    assert Priced.model_validate_json(sent).price == amount
    # Another language reads a binary float, and one that stands for the same amount.
    assert Priced(price=json.loads(sent)["price"]).price == amount
    assert json.loads(sent, parse_float=Decimal, parse_int=Decimal)["price"] == amount


@given(st.decimals(), st.sampled_from(sorted(CURRENCIES)))
def test_an_amount_is_expressible_or_refused_and_never_rounded(amount: Decimal, currency: str) -> None:
    expressible = amount.is_finite() and 0 <= amount <= LIMIT and amount % Decimal(1).scaleb(-places(currency)) == 0
    try:
        checked = check_amount(amount, currency)
    except Invalid:
        assert not expressible
        return
    assert expressible
    assert checked == amount
    assert checked.as_tuple().exponent == -places(currency)


texts = st.text() | st.integers().map(str) | st.floats().map(repr)


@given(texts | texts.map(str.encode) | st.booleans() | st.sampled_from([float("inf"), float("nan"), None]))
def test_what_is_no_finite_number_is_no_money(value: object) -> None:
    try:
        Priced.model_validate({"price": value})
    except ValidationError:
        return
    raise AssertionError(f"{value!r} was taken for money")


@given(st.integers(1, 200))
def test_ids_of_events_and_requests_are_unique_and_ascend_with_the_millisecond(number: int) -> None:
    for make in (uuid7, lambda: UUID(request_id())):
        _have_the_form_of_ids([make() for _ in range(number)])


def _have_the_form_of_ids(made: list[UUID]) -> None:
    assert len(set(made)) == len(made)
    assert {(made_id.version, made_id.variant) for made_id in made} == {(7, UUID(int=8 << 60).variant)}
    assert [made_id.int >> 80 for made_id in made] == sorted(made_id.int >> 80 for made_id in made)


names = st.text(max_size=8) | st.sampled_from(["ce_id", "CE_ID", "ce_source"])
headers = st.lists(
    st.tuples(names, st.none() | st.binary(max_size=40)),
    max_size=6,
)
topics = st.sampled_from(["order.created", "payment.success"])
values = st.none() | st.binary(max_size=40)


@given(topics, st.integers(0, 99), st.integers(0, 2**62), values, values, headers)
def test_any_record_is_received_and_kept_byte_for_byte_under_an_id_that_its_redelivery_shares(
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    sent: list[tuple[str, bytes | None]],
) -> None:
    # A Kafka header may have no value, whatever the client's types say.
    given_headers = cast(list[tuple[str, bytes]], sent)
    message = Message.received(topic, partition, offset, key, value, given_headers)
    again = Message.received(topic, partition, offset, key, value, given_headers)
    assert message == again
    assert (message.raw_key, message.value) == (key, value)
    assert message.raw_headers == tuple((name, data or b"") for name, data in sent)


# CloudEvents allows no control characters in its attributes.
attributes = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=12)
identities = st.tuples(topics, st.none() | st.tuples(attributes, attributes), st.integers(0, 2), st.integers(0, 2))


def identified(identity: tuple[str, tuple[str, str] | None, int, int]) -> UUID:
    """Receive a message of this topic, source and id (or None), at this partition and offset."""
    topic, named, partition, offset = identity
    sent = [("ce_source", named[0].encode()), ("ce_id", named[1].encode())] if named else []
    return Message.received(topic, partition, offset, None, None, sent).identity


@given(identities, identities)
def test_two_messages_share_an_id_exactly_when_they_are_the_same_event(
    one: tuple[str, tuple[str, str] | None, int, int], other: tuple[str, tuple[str, str] | None, int, int]
) -> None:
    same = (one[:2] == other[:2]) if one[1] and other[1] else one == other
    assert (identified(one) == identified(other)) is same


@given(attributes, attributes, st.integers(0, 99), st.integers(0, 99))
def test_a_named_event_keeps_its_id_wherever_in_the_log_it_is_delivered(
    source: str, name: str, first: int, second: int
) -> None:
    assert identified(("t", (source, name), 0, first)) == identified(("t", (source, name), 1, second))


@given(
    st.integers(1, 2**63 - 1),
    amounts(),
    st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    st.datetimes(timezones=st.just(UTC)),
)
def test_what_one_service_publishes_another_reads_unchanged(
    order_id: int, priced: tuple[str, Decimal], note: str, at: datetime
) -> None:
    payload = Payload(order_id=order_id, total=priced[1], lines=[Line(product_id=1, quantity=1)], note=note)
    event = Event.of("order.created", f"order-{order_id}", payload)
    sent = wire_headers("orderfc", event.event_id, event.topic, at, event.headers)
    record = [(name, value.encode()) for name, value in sent.items()]
    message = Message.received(event.topic, 0, 0, event.key.encode(), event.payload.encode(), record)
    assert (message.event_id, message.key, message.headers) == (str(event.event_id), event.key, sent)
    assert parse(message, Payload) == payload


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def written(value: object) -> bytes:
    """Write JSON as Python does, NaN and numbers of any length included."""
    return json.dumps(value).replace('"10**5000"', "1" + "0" * 5000).encode()


payloads = st.fixed_dictionaries(
    {}, optional={name: json_values | st.just("10**5000") for name in ("order_id", "total", "lines", "note", "at")}
)
nested = st.integers(1, 3000).map(lambda depth: b'{"lines":' + b"[" * depth)
mutilated = st.builds(
    lambda text, at, junk: text[:at] + junk + text[at + 1 :],
    st.just(b'{"order_id": 1, "total": 15e4, "lines": [{"product_id": 1, "quantity": 1}], "note": "\\ud83d\\ude00"}'),
    st.integers(0, 90),
    st.binary(max_size=4),
)


@given(st.none() | st.binary(max_size=60) | payloads.map(written) | nested | mutilated)
def test_any_value_is_read_or_refused_as_invalid_with_a_stable_reason(value: bytes | None) -> None:
    reason = ""
    try:
        payload = parse(Message.received("order.created", 0, 0, None, value), Payload)
    except InvalidMessage as error:
        reason = error.reason
    else:
        assert payload.order_id >= 1
        assert payload.total.is_finite()
    assert reason in {"", "null_value", "invalid_json", "invalid_payload"}
