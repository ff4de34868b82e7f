"""The rows that every measurement needs: customers, products, and a copy of orderfc's database for its floor."""

import json

from bench.speed.floors import FLOOR_DATABASE
from bench.speed.load import MARKER, http_request
from bench.speed.side import Side
from chassis.auth.tokens import encode_token

CUSTOMERS = 1_000
# Baskets and cached reads use the first of them.
PRODUCTS, POPULAR = 10_000, 200
# The name of one product only.
RARE = "Selendang Sutra"
STOCK = 100_000_000
ADDRESS = "Jalan Merdeka 1, Jakarta"

_CUSTOMERS = """
INSERT INTO users (name, email, password_hash)
SELECT 'Ani ' || n, 'customer' || n || '@example.com', 'none' FROM generate_series(1, $1::int) n RETURNING id
"""
# The numbers have four digits: "421" is in twenty of them.
_PRODUCTS = f"""
INSERT INTO product_categories (name) VALUES ('Minuman');
INSERT INTO products (name, description, price, stock, category_id)
SELECT 'Kopi ' || lpad(n::text, 4, '0'), 'Biji kopi pilihan dari kebun sendiri, 250 gram', 10000 + n, {STOCK}, 1
FROM generate_series(0, {PRODUCTS - 1}) n;
INSERT INTO products (name, description, price, stock, category_id)
VALUES ('{RARE}', 'Tenunan tangan', 250000, {STOCK}, 1);
INSERT INTO stock_adjustments (product_id, units, cause) SELECT id, stock, 'created' FROM products;
"""


def seed(side: Side) -> None:
    """Fill the databases of a stack whose services do not run."""
    side.customers = [row["id"] for row in side.query("userfc", _CUSTOMERS, CUSTOMERS)]
    side.query("productfc", _PRODUCTS)
    side.query("productfc", "VACUUM ANALYZE")
    side.query("postgres", f"CREATE DATABASE {FLOOR_DATABASE} TEMPLATE orderfc")


def token(side: Side, user_id: int) -> str:
    return encode_token(side.secret, user_id=user_id, email=f"customer{user_id}@example.com", role="user")


def basket(side: Side, number: int) -> tuple[dict[str, str], dict[str, object]]:
    """Return the headers and the body of a customer's checkout: two products, three pieces."""
    first = number % (POPULAR - 1) + 1
    user_id = side.customers[number % len(side.customers)]
    body: dict[str, object] = {
        "items": [{"product_id": first, "quantity": 1}, {"product_id": first + 1, "quantity": 2}],
        "payment_method": "BANK_TRANSFER",
        "shipping_address": ADDRESS,
    }
    return {"Authorization": f"Bearer {token(side, user_id)}"}, body


def baskets(side: Side, *, keyed: bool = False) -> list[bytes]:
    """Write out a checkout of each customer. `keyed`: with a key that differs each time."""
    key = {"Idempotency-Key": MARKER.decode()} if keyed else {}
    requests = []
    for number in range(len(side.customers)):
        headers, body = basket(side, number)
        requests.append(http_request("POST", "/v1/orders/checkout", headers | key, json.dumps(body).encode()))
    return requests
