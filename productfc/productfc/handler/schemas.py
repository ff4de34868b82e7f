"""The parameters, bodies and answers of the HTTP routes."""

import hashlib
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from chassis.ids import Name, PathId, PositiveId, digits, normal_form, storable
from chassis.money import MAX_AMOUNT, Amount, AmountParam, Money
from productfc.model import MAX_STOCK, Product
from productfc.repository.search import Search

MAX_BATCH = 100
Description = Annotated[str, Field(max_length=10_000), AfterValidator(storable)]
Stock = Annotated[int, Field(strict=True, ge=0, le=MAX_STOCK)]
BodyId = Annotated[PositiveId, Field(strict=True)]
SearchText = Annotated[str, BeforeValidator(normal_form), Field(min_length=1, max_length=255), AfterValidator(storable)]
SearchPrice = Annotated[
    AmountParam,
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": int(MAX_AMOUNT)}),
]
# For the OpenAPI document only: the bounds depend on the currency, and the use-case checks them.
Price = Annotated[Amount, Field(json_schema_extra={"minimum": 0, "maximum": int(MAX_AMOUNT)})]


class SearchQuery(BaseModel):
    """The query of GET /v1/products/search. Other parameters are refused."""

    model_config = ConfigDict(extra="forbid")

    name: SearchText | None = Field(None, description="Part of the name, without case; % and _ are literal")
    category: SearchText | None = Field(None, description="Exact name of the category")
    min_price: SearchPrice | None = Field(None, description="Inclusive")
    max_price: SearchPrice | None = Field(None, description="Inclusive")
    order_by: Literal["id", "name", "price", "stock"] = Field("id", description="Ties are ordered by id")
    sort: Literal["asc", "desc"] = "asc"
    page: PathId = 1
    page_size: Annotated[int, Field(ge=1, le=100), BeforeValidator(digits)] = 10

    @model_validator(mode="after")
    def _prices_span(self) -> Self:
        if self.min_price is not None and self.max_price is not None and self.min_price > self.max_price:
            raise ValueError("min_price: should not be greater than max_price")
        return self

    def search(self) -> Search:
        return Search(**{name: getattr(self, name) for name in type(self).model_fields})


class ProductBody(BaseModel):
    """The body of POST /v1/products."""

    name: Name = Field(examples=["Ceramic Mug"])
    price: Price = Field(examples=[45000])
    description: Description = Field("", examples=["300 ml, dishwasher safe"])
    stock: Stock = Field(0, examples=[1000])
    category_id: BodyId = Field(examples=[1])


class ProductChanges(BaseModel):
    """The body of PUT /v1/products/{id}. Absent fields stay as they are; null is refused."""

    name: Name = Field(default_factory=str)
    price: Price = Field(default_factory=Decimal, examples=[42000])
    description: Description = Field(default_factory=str)
    # The use-case checks the maximum: orders that were cancelled may have raised the stock beyond it.
    stock: Annotated[int, Field(strict=True, ge=0, json_schema_extra={"maximum": MAX_STOCK})] = Field(
        default_factory=int, examples=[250]
    )
    category_id: BodyId = Field(default_factory=int)

    def changes(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class CategoryBody(BaseModel):
    """The body of POST and PUT of a category."""

    name: Name = Field(examples=["Kitchen"])


class CategoryView(BaseModel):
    """A category."""

    id: int = Field(examples=[1])
    name: str = Field(examples=["Kitchen"])


class CategoriesView(BaseModel):
    """All categories."""

    categories: list[CategoryView]


class ProductView(BaseModel):
    """A product on sale; `stock` is free stock."""

    id: int = Field(examples=[1])
    name: str = Field(examples=["Ceramic Mug"])
    description: str = Field(examples=["300 ml, dishwasher safe"])
    price: Money = Field(examples=[45000])
    stock: int = Field(examples=[1000])
    category_id: int = Field(examples=[1])
    category: CategoryView


class ProductsView(BaseModel):
    """The products of a batch read, in the order of the ids."""

    products: list[ProductView]


class SearchView(BaseModel):
    """A page of a search. `nextPageUrl` is relative and empty on the last page."""

    products: list[ProductView]
    page: int = Field(examples=[1])
    page_size: int = Field(alias="pageSize", examples=[1])
    total_count: int = Field(alias="totalCount", examples=[2])
    total_pages: int = Field(alias="totalPages", examples=[2])
    next_page_url: str = Field(alias="nextPageUrl", examples=["/v1/products/search?name=mug&page_size=1&page=2"])


class ProductDeleted(BaseModel):
    """The answer to the deletion of a product."""

    message: Literal["Product deleted successfully"] = "Product deleted successfully"


class CategoryDeleted(BaseModel):
    """The answer to the deletion of a category."""

    message: Literal["Product category deleted successfully"] = "Product category deleted successfully"


def view(product: Product) -> dict[str, Any]:
    """Return the content of a ProductView for orjson: one model per product is too slow for the most frequent reads."""
    price = product.price
    return {
        "id": product.id,
        "name": product.name,
        "description": product.description,
        "price": int(price) if price == price.to_integral_value() else float(price),
        "stock": product.stock,
        "category_id": product.category_id,
        "category": {"id": product.category_id, "name": product.category_name},
    }


def encode(product: Product) -> bytes:
    return orjson.dumps(view(product))


# Changes with every change of the answer's fields: what an earlier version has cached is then not served.
SHAPE = hashlib.sha256(orjson.dumps(ProductView.model_json_schema())).hexdigest()[:16].encode() + b" "
