"""What productfc refuses, each with a stable code.

AppError
├── Invalid                 validation_failed
├── NotFound                not_found           an unknown or archived product, an unknown category
└── Conflict
    ├── CategoryExists      category_exists     the name is taken, compared without case
    └── CategoryInUse       category_in_use     products that are not archived belong to it
"""

from chassis.errors import Conflict, NotFound


class CategoryExists(Conflict):
    """Another category has this name, compared without case."""

    code = "category_exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"a category named {name} already exists")


class CategoryInUse(Conflict):
    """A category can only go when no product is left in it."""

    code = "category_in_use"

    def __init__(self, category_id: int) -> None:
        super().__init__(f"category {category_id} still has products")


def unknown_product(product_id: int) -> NotFound:
    """Make the 404 of a product that never was or is archived."""
    return NotFound(f"product {product_id} not found")


def unknown_category(category_id: int) -> NotFound:
    """Make the 404 of a category, also when a product is to be put into it."""
    return NotFound(f"category {category_id} not found")
