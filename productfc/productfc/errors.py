"""The refusals of productfc, each with a stable code.

AppError
├── Invalid                 validation_failed
├── NotFound                not_found
│   ├── ProductNotFound     not_found           no such product, or an archived one
│   └── CategoryNotFound    not_found           also when a product is to be put into it
└── Conflict
    ├── CategoryExists      category_exists     the name is taken, compared without case
    └── CategoryInUse       category_in_use     a product that is not archived belongs to it
"""

from chassis.errors import Conflict, NotFound


class ProductNotFound(NotFound):
    """The product does not exist or is archived."""

    def __init__(self, product_id: int) -> None:
        super().__init__(f"product {product_id} not found")


class CategoryNotFound(NotFound):
    """The category does not exist."""

    def __init__(self, category_id: int) -> None:
        super().__init__(f"category {category_id} not found")


class CategoryExists(Conflict):
    """Another category has this name, compared without case."""

    code = "category_exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"a category named {name} already exists")


class CategoryInUse(Conflict):
    """The category can only be deleted when no product on sale belongs to it."""

    code = "category_in_use"

    def __init__(self, category_id: int) -> None:
        super().__init__(f"category {category_id} still has products")
