"""The parameters, bodies and messages that productfc accepts, and the answers that it builds without a model."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from chassis.errors import InvalidMessage
from chassis.events import Message, parse
from productfc.events import StockRollback, StockUpdated
from productfc.handler.schemas import ProductChanges, ProductView, SearchQuery, encode
from productfc.model import Product
from productfc.repository.search import escape_like


@pytest.mark.parametrize(
    "query",
    [
        {"order_by": "created_at"},
        {"order_by": "id; DROP TABLE products"},
        {"sort": "ASC"},
        {"page": "0"},
        {"page": "-1"},
        {"page": "1.0"},
        {"page": "+1"},
        {"page": "9223372036854775808"},
        {"page_size": "0"},
        {"page_size": "101"},
        {"page_size": "ten"},
        {"name": ""},
        {"category": ""},
        {"min_price": ""},
        {"min_price": "-1"},
        {"min_price": "nan"},
        {"max_price": "inf"},
        {"max_price": "1e999999"},
        {"min_price": "1e-999999"},
        {"min_price": "2", "max_price": "1"},
        {"colour": "red"},
        {"name": "\x00"},
    ],
)
def test_a_search_with_a_wrong_parameter_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SearchQuery.model_validate(query)


def test_the_refusal_of_an_order_names_what_is_allowed() -> None:
    with pytest.raises(ValidationError, match="'id', 'name', 'price' or 'stock'"):
        SearchQuery.model_validate({"order_by": "colour"})


def test_like_patterns_are_taken_literally() -> None:
    assert escape_like(r"50%_\x") == r"50\%\_\\x"


@pytest.mark.parametrize("price", ["0", "0.10", "85000.00", "9999999999", "12.5"])
def test_the_hand_written_answer_is_the_model_s(price: str) -> None:
    content = encode(Product(7, 'Mug "é"', "", Decimal(price), 0, 3, "Kitchen"))
    assert ProductView.model_validate_json(content).model_dump_json().encode() == content


def test_only_the_fields_that_are_present_change() -> None:
    assert ProductChanges.model_validate_json('{"stock": 0, "description": ""}').changes() == {
        "stock": 0,
        "description": "",
    }


@pytest.mark.parametrize("field", ["name", "price", "description", "stock", "category_id"])
def test_null_is_not_a_value(field: str) -> None:
    with pytest.raises(ValidationError):
        ProductChanges.model_validate({field: None})


def _message(value: str) -> Message:
    return Message.received("stock.updated", 0, 0, b"order-1", value.encode())


@pytest.mark.parametrize("name", ["quantity", "qty"])
def test_both_names_of_the_quantity_are_read(name: str) -> None:
    update = parse(_message(f'{{"order_id": 1, "products": [{{"product_id": 2, "{name}": 3}}]}}'), StockUpdated)
    assert [(line.product_id, line.quantity) for line in update.products] == [(2, 3)]


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", '"2"', "true", "null", str(2**31)])
@pytest.mark.parametrize("model", [StockUpdated, StockRollback])
def test_a_quantity_that_is_no_quantity_makes_a_dead_letter(quantity: str, model: Any) -> None:
    with pytest.raises(InvalidMessage):
        parse(_message(f'{{"order_id": 1, "products": [{{"product_id": 2, "quantity": {quantity}}}]}}'), model)


@pytest.mark.parametrize("value", ["", "null", "[]", "{}", '{"order_id": 1, "products": []}', '{"order_id": 0}'])
def test_an_update_without_order_or_products_makes_a_dead_letter(value: str) -> None:
    with pytest.raises(InvalidMessage):
        parse(_message(value), StockUpdated)
