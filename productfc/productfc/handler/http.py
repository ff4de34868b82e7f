"""The HTTP routes of productfc. Routes with a fixed path come before those with an id."""

import re
from collections.abc import Awaitable
from functools import partial
from typing import Annotated

import orjson
from fastapi import Depends, Query, Request, Response

from chassis.auth.tokens import AdminUser
from chassis.db.database import Database
from chassis.http.address import client_address
from chassis.http.app import errors
from chassis.http.dependencies import Db, state
from chassis.http.id_lists import id_list, ids_pattern
from chassis.http.routing import Router
from chassis.http.shortcuts import Answer, by_route, number
from chassis.ids import PathId
from productfc.errors import CategoryNotFound, ProductNotFound
from productfc.handler import schemas, search
from productfc.model import Category, Product
from productfc.repository import categories, products
from productfc.repository.admin_actions import Admin
from productfc.repository.cache import ProductCache
from productfc.repository.search import Searches
from productfc.usecase.create_category import create_category
from productfc.usecase.create_product import NewProduct, create_product
from productfc.usecase.delete_category import delete_category
from productfc.usecase.delete_product import delete_product
from productfc.usecase.update_category import update_category
from productfc.usecase.update_product import update_product

router = Router(prefix="/v1/products")
ADMIN_ERRORS = errors(403, 404, 409, 503)
# In the query string as orderfc sends it; other forms of the same query are left to the route.
PLAIN_IDS = re.compile(rb"ids=([1-9][0-9]{0,17}(?:(?:,|%%2C)[1-9][0-9]{0,17}){0,%d})" % (schemas.MAX_BATCH - 1))

Ids = Annotated[
    str,
    Query(
        description="Up to 100 ids, separated by commas",
        examples=["1,2,3"],
        json_schema_extra={"pattern": ids_pattern(schemas.MAX_BATCH)},
    ),
]
Cache = Annotated[ProductCache, state("cache")]
RunSearch = Annotated[Searches, state("searches")]
_parse_ids = partial(id_list, what="products", most=schemas.MAX_BATCH)


async def _admin(user: AdminUser, request: Request) -> Admin:
    return Admin(user.user_id, user.email, client_address(request, request.app.state.settings.trusted_proxies))


By = Annotated[Admin, Depends(_admin)]


def _json(content: bytes, status_code: int = 200) -> Response:
    return Response(content, status_code, media_type="application/json")


@router.get("", tags=["products"], response_model=schemas.ProductsView, summary="Read several products")
async def read_products(db: Db, ids: Ids) -> Response:
    """Read up to 100 products from the database, in the order of the ids. Unknown ids are left out."""
    return _json(await _products(db, _parse_ids(ids)))


async def _products(db: Database, ids: list[int]) -> bytes:
    return orjson.dumps({"products": [schemas.view(product) for product in await products.by_ids(db, ids)]})


@router.get(
    "/search",
    tags=["products"],
    response_model=schemas.SearchView,
    responses=errors(503),
    summary="Search the products on sale",
)
async def search_products(
    request: Request, searches: RunSearch, query: Annotated[schemas.SearchQuery, Query()]
) -> Response:
    """Search by name, category and price, page by page."""
    return _json(await search.answer(searches, query, request.query_params))


@router.get("/categories", tags=["categories"], summary="List all categories by name")
async def read_categories(db: Db) -> schemas.CategoriesView:
    """All categories, without pages."""
    return schemas.CategoriesView(categories=[_category(category) for category in await categories.all_by_name(db)])


@router.post(
    "/categories",
    status_code=201,
    tags=["categories"],
    responses=errors(403, 409, 503),
    summary="Create a category",
)
async def post_category(body: schemas.CategoryBody, admin: By, db: Db) -> schemas.CategoryView:
    """Create a category. 409 when the name is taken, compared without case."""
    return _category(await create_category(db, admin, body.name))


@router.get("/categories/{category_id}", tags=["categories"], responses=errors(404), summary="Read a category")
async def read_category(category_id: PathId, db: Db) -> schemas.CategoryView:
    """One category by its id."""
    category = await categories.by_id(db, category_id)
    if category is None:
        raise CategoryNotFound(category_id)
    return _category(category)


@router.put(
    "/categories/{category_id}",
    tags=["categories"],
    responses=ADMIN_ERRORS,
    summary="Rename a category",
)
async def put_category(
    category_id: PathId, body: schemas.CategoryBody, admin: By, db: Db, cache: Cache
) -> schemas.CategoryView:
    """Rename a category. 409 when the name is taken, compared without case."""
    return _category(await update_category(db, cache, admin, category_id, body.name))


@router.delete(
    "/categories/{category_id}",
    tags=["categories"],
    responses=ADMIN_ERRORS,
    summary="Delete a category",
)
async def remove_category(category_id: PathId, admin: By, db: Db) -> schemas.CategoryDeleted:
    """Delete a category. 409 while a product on sale belongs to it."""
    await delete_category(db, admin, category_id)
    return schemas.CategoryDeleted()


def _category(category: Category) -> schemas.CategoryView:
    return schemas.CategoryView(id=category.id, name=category.name)


@router.post(
    "",
    status_code=201,
    tags=["products"],
    response_model=schemas.ProductView,
    responses=errors(403, 404, 503),
    summary="Create a product",
)
async def post_product(body: schemas.ProductBody, admin: By, db: Db) -> Response:
    """Put a product on sale. 404 when its category does not exist."""
    new = NewProduct(body.name, body.description, body.price, body.stock, body.category_id)
    return _product(await create_product(db, admin, new), 201)


@router.get(
    "/{product_id}",
    tags=["products"],
    response_model=schemas.ProductView,
    responses=errors(404),
    summary="Read a product",
)
async def read_product(product_id: PathId, cache: Cache) -> Response:
    """Read a product on sale. The answer may come from a cache that every change invalidates."""
    content = await cache.get(product_id)
    if content is None:
        raise ProductNotFound(product_id)
    return _json(content)


@router.put(
    "/{product_id}",
    tags=["products"],
    response_model=schemas.ProductView,
    responses=errors(403, 404, 503),
    summary="Change a product",
)
async def put_product(product_id: PathId, body: schemas.ProductChanges, admin: By, db: Db, cache: Cache) -> Response:
    """Change the fields that are present; 0 and "" are values like any other."""
    return _product(await update_product(db, cache, admin, product_id, body.changes()))


@router.delete(
    "/{product_id}",
    tags=["products"],
    responses=errors(403, 404, 503),
    summary="Delete a product",
)
async def remove_product(product_id: PathId, admin: By, db: Db, cache: Cache) -> schemas.ProductDeleted:
    """Take a product off sale. Orders that hold it keep their stock."""
    await delete_product(db, cache, admin, product_id)
    return schemas.ProductDeleted()


def _product(product: Product, status_code: int = 200) -> Response:
    return _json(schemas.encode(product), status_code)


def shortcuts(db: Database, cache: ProductCache, searches: Searches) -> dict[str, Answer]:
    """Answer a cached product, the batch that a checkout reads, and a search, past the router."""

    def product(parameter: str, query: bytes) -> Awaitable[bytes | None]:
        product_id = number(parameter)
        return by_route() if query or product_id is None else cache.peek(product_id)

    async def batch(_parameter: str, query: bytes) -> bytes | None:
        ids = PLAIN_IDS.fullmatch(query)
        return await _products(db, _parse_ids(ids[1].decode().replace("%2C", ","))) if ids else None

    return {"/v1/products/{product_id}": product, "/v1/products": batch, search.PATH: search.shortcut(searches)}
