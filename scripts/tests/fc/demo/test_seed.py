"""What is seeded, and what is said when it can't be."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fc.demo.seed import CATALOGUE, seed
from fc.stack.accounts import ACCOUNTS
from fc.stack.errors import StackError
from testkit import free_port

Answers = dict[str, tuple[int, dict[str, object]]]


@pytest.fixture
def serve() -> Iterator[Callable[[Answers], str]]:
    """Serve these answers by path, 404 for other paths, for every method; returns the address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answers: Answers) -> str:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                status, body = answers.get(self.path.split("?")[0], (404, {"error": "nothing here"}))
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        for method in ("GET", "POST"):
            setattr(Handler, f"do_{method}", Handler.answer)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def urls(address: str) -> dict[str, str]:
    return {"userfc": address, "productfc": address}


def test_there_are_twenty_products_in_four_categories_one_nearly_gone_and_one_gone() -> None:
    products = [product for category in CATALOGUE.values() for product in category]
    assert (len(CATALOGUE), len(products)) == (4, 20)
    stocks = [stock for _, _, stock in products]
    assert (stocks.count(1), stocks.count(0)) == (1, 1)
    assert min(stocks) == 0


def test_every_product_is_one_that_productfc_takes() -> None:
    products = [product for category in CATALOGUE.values() for product in category]
    names = [name for name, _, _ in products]
    assert len({name.casefold() for name in names}) == len(names)
    assert all(name == name.strip() and 1 <= len(name) <= 255 for name in names)
    assert all(isinstance(price, int) and 0 < price <= 9_999_999_999 for _, price, _ in products)


def test_there_are_an_administrator_and_two_customers_whose_passwords_are_taken() -> None:
    assert set(ACCOUNTS) == {"admin", "alice", "bob"}
    assert len({email.casefold() for email, _ in ACCOUNTS.values()}) == 3
    assert all(8 <= len(password) <= 128 for _, password in ACCOUNTS.values())


async def test_a_service_that_does_not_answer_is_named() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StackError, match=f"{address}/v1/register does not answer"):
        await seed(urls(address), ACCOUNTS)


async def test_an_administrator_who_can_not_sign_in_is_named_with_the_settings_that_make_him(
    serve: Callable[[Answers], str],
) -> None:
    address = serve({"/v1/register": (201, {}), "/v1/login": (401, {"error": "invalid email or password"})})
    with pytest.raises(StackError, match=r"boss@example\.com can't sign in: ADMIN_EMAIL and ADMIN_PASSWORD"):
        await seed(urls(address), {**ACCOUNTS, "admin": ("boss@example.com", "secret-of-the-boss")})


async def test_a_refusal_is_quoted(serve: Callable[[Answers], str]) -> None:
    address = serve({"/v1/register": (429, {"error": "too many requests", "code": "rate_limited"})})
    with pytest.raises(StackError, match="seeding failed: .*/v1/register answered .*too many requests"):
        await seed(urls(address), ACCOUNTS)


async def test_customers_who_are_there_already_are_not_counted(serve: Callable[[Answers], str]) -> None:
    categories = [{"id": number, "name": name} for number, name in enumerate(CATALOGUE, 1)]
    known = [{"name": name} for products in CATALOGUE.values() for name, _, _ in products]
    address = serve(
        {
            "/v1/register": (409, {}),
            "/v1/login": (200, {"token": "t"}),
            "/v1/products/categories": (200, {"categories": categories}),
            "/v1/products/search": (200, {"products": known}),
        }
    )
    assert await seed(urls(address), ACCOUNTS) == 0
