"""The curl examples in each service's README work as they are printed there, on the seeded platform."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fc.demo.shop import Customer, Shop
from fc.stack.layout import SERVICES
from fc.stack.local import Stack
from tests.kit.back_office import BackOffice
from tests.kit.stacks import SECRETS

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
PORTS = {"28080": "userfc", "28081": "productfc", "28082": "orderfc", "28083": "paymentfc"}
# An answer that is not a success ends the script. Python stands in for jq where it is not installed.
PRELUDE = """set -eu -o pipefail
curl() { command curl --fail-with-body --max-time 20 "$@"; }
jq() { "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[2].lstrip(".")])' "$@"; }
"""


def examples(text: str) -> str:
    """Return the blocks of a README that call curl, as one script."""
    return "\n".join(block for block in BLOCK.findall(text) if re.search(r"\bcurl ", block))


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder."""
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run(
        ["bash", "-c", PRELUDE + script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("service", SERVICES)
async def test_the_examples_of_a_readme_work(
    stack: Stack, shop: Shop, alice: Customer, back_office: BackOffice, tmp_path: Path, service: str
) -> None:
    script = examples((ROOT / service / "README.md").read_text(encoding="utf-8"))
    assert script
    product = await back_office.product(stock=1, price=150_000)
    order = await alice.checkout(product, 1)
    payment = await alice.invoice(order)
    assert payment["status"] == "PENDING"
    for port, name in PORTS.items():
        script = script.replace(f"localhost:{port}", f"localhost:{stack.layout.port(name)}")
    script = script.replace("ORDER=1 ", f"ORDER={order} ").replace("admin12345", SECRETS["ADMIN_PASSWORD"])
    script = script.replace("development-webhook-token", SECRETS["XENDIT_WEBHOOK_TOKEN"])
    done = run(script, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    if service == "paymentfc":
        # Xendit's word is missing: the callback of the example was sent without a payment.
        assert (await alice.payment(order))["status"] == "PENDING"
        await shop.pay(payment["invoice_id"])
        await alice.wait_status(order, "completed")
        assert (tmp_path / f"invoice_{order}.pdf").read_bytes().startswith(b"%PDF")


def test_an_example_that_is_refused_is_noticed(stack: Stack, shop: Shop, tmp_path: Path) -> None:
    assert shop
    url = f"localhost:{stack.layout.port('orderfc')}/v1/orders/history"
    assert run(f"curl -s {url}\n", tmp_path).returncode != 0
