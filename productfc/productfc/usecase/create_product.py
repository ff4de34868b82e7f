"""Puts a product on sale."""

from dataclasses import asdict, dataclass
from decimal import Decimal

from chassis.db.database import Database
from chassis.money import check_amount
from productfc.errors import CategoryNotFound
from productfc.model import Product
from productfc.repository import admin_actions, categories, products
from productfc.repository.admin_actions import Action, Admin


@dataclass(frozen=True, slots=True)
class NewProduct:
    """The fields of a new product. The price is checked against the platform's currency."""

    name: str
    description: str
    price: Decimal
    stock: int
    category_id: int


async def create_product(db: Database, admin: Admin, new: NewProduct) -> Product:
    """Raises Invalid for the price, CategoryNotFound for the category."""
    price = check_amount(new.price, db.settings.currency)
    async with db.transaction() as tx:
        if not await categories.lock_against_delete(tx, new.category_id):
            raise CategoryNotFound(new.category_id)
        product_id = await products.insert(
            tx,
            name=new.name,
            description=new.description,
            price=price,
            stock=new.stock,
            category_id=new.category_id,
        )
        await admin_actions.add(tx, admin, Action.PRODUCT_CREATED, product_id, {}, asdict(new) | {"price": price})
        product = await products.by_id_in(tx, product_id)
    if product is None:
        raise RuntimeError(f"product {product_id} is missing right after its insert")
    return product
