"""What the tests of input send, how they read the answer, and the proof that it did no service any harm."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

from fc.layout import SERVICES
from tests.chaos.arena import Arena

MIB = 1024 * 1024
GROWTH = 64 * MIB
REFUSED = (400, "validation_failed")


@contextmanager
def unshaken(arena: Arena) -> Iterator[None]:
    """See that in the block no service dies, fails at a request, or keeps what it is sent in memory."""
    services = {name: (arena.pid(name), arena.stack.layout.log(name).stat().st_size) for name in SERVICES}
    before = {name: peak(pid) for name, (pid, _) in services.items()}
    yield
    for name, (pid, size) in services.items():
        with arena.stack.layout.log(name).open("rb") as log:
            log.seek(size)
            assert [line for line in log if b'"request failed"' in line] == []
        assert arena.pid(name) == pid
        assert peak(pid) - before[name] < GROWTH


def peak(pid: int) -> int:
    """Give the most memory that a process has ever had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def outcome(answer: httpx2.Response) -> tuple[int, str]:
    """Give status and error code ("" where nothing is refused); every refusal has the one shape."""
    if answer.status_code < 400:
        return answer.status_code, ""
    assert set(answer.json()) == {"error", "code", "request_id"}
    return answer.status_code, answer.json()["code"]


def basket(lines: list[tuple[dict[str, Any], int]], address: str = "Jalan Merdeka 1, Jakarta") -> dict[str, Any]:
    """Make the body of a checkout."""
    items = [{"product_id": product["id"], "quantity": quantity} for product, quantity in lines]
    return {"items": items, "payment_method": "BANK_TRANSFER", "shipping_address": address}


def registration(password: str) -> dict[str, str]:
    """Make the body of a registration."""
    email = f"{uuid4().hex}@example.com"
    return {"name": "Carol", "email": email, "password": password, "confirm_password": password}


async def counts(arena: Arena) -> dict[str, int]:
    """Count what strangers could have made more, or fewer, of."""
    tables = {"userfc": ("users",), "orderfc": ("orders", "outbox"), "paymentfc": ("payments", "payment_callbacks")}
    return {
        f"{service}.{table}": (await arena.sql(service, f"SELECT count(*) FROM {table}"))[0][0]
        for service, names in tables.items() for table in names
    }  # fmt: skip
