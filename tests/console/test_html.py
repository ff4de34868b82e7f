"""The HTML of every page, by the Nu checker."""

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from fc.demo.shop import Shop
from tests.console.kit.operator import Desk
from tests.console.kit.pages import addresses
from tests.kit.back_office import BackOffice

pytestmark = pytest.mark.e2e

JAR = Path(sys.prefix) / "vnu/node_modules/vnu-jar/build/dist/vnu.jar"


async def test_the_html_of_no_page_has_an_error(
    desk: Desk, shop: Shop, back_office: BackOffice, tmp_path: Path
) -> None:
    java = shutil.which("java")
    if java is None or not JAR.exists():
        pytest.fail("The HTML checker is not there: `make tools-html` gets it, and it needs Java.", pytrace=False)
    order = await (await shop.newcomer()).checkout(await back_office.product(3), 1)
    files = {}
    async with desk.plain() as http:
        for number, address in enumerate(("/login", *addresses(order))):
            files[f"{number}.html"] = address
            (tmp_path / f"{number}.html").write_text((await http.get(address)).text, encoding="utf-8")
    names = [str(tmp_path / name) for name in files]
    checker = await asyncio.create_subprocess_exec(
        java, "-jar", str(JAR), "--format", "json", "--stdout", *names, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await checker.communicate()
    told = [
        f"{files[Path(each['url']).name]}:{each['lastLine']}: {each['message']}"
        for each in json.loads(printed)["messages"]
        if each["type"] == "error" or each.get("subType") == "warning"
    ]
    assert told == []
