"""The OpenAPI documents are current, are made without any server, and say all that they should on every route."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from typer.testing import CliRunner, Result

from fc.stack.layout import SERVICES
from openapi import documents
from openapi.__main__ import app

JSON = "application/json"
ERROR = {"$ref": "#/components/schemas/ErrorBody"}


def command(name: str, root: Path) -> Result:
    """Run the command on a checkout."""
    return CliRunner().invoke(app, [name, "--root", str(root)])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the documents."""
    shutil.copytree(documents.ROOT / documents.FOLDER, tmp_path / documents.FOLDER)
    return tmp_path


def test_the_documents_of_this_checkout_are_current() -> None:
    line = [sys.executable, "-m", "openapi", "check"]
    checked = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [("Place an order", "Place some order"), ('"maximum": 1000', '"maximum": 999'), ('"3.1.0"', '"3.0.3"')],
)
def test_a_stale_document_fails_the_check_and_is_shown(checkout: Path, old: str, new: str) -> None:
    file = checkout / documents.FOLDER / "orderfc.json"
    assert old in file.read_text("utf-8")
    file.write_text(file.read_text("utf-8").replace(old, new, 1), "utf-8")
    checked = command("check", checkout)
    assert checked.exit_code == 1
    assert new in checked.stderr
    assert old in checked.stderr
    assert "python -m openapi write" in checked.stderr
    assert command("write", checkout).exit_code == 0
    assert command("check", checkout).exit_code == 0


@pytest.mark.parametrize("service", SERVICES)
def test_a_missing_document_and_a_missing_line_end_fail_the_check(checkout: Path, service: str) -> None:
    file = checkout / documents.FOLDER / f"{service}.json"
    file.write_text(file.read_text("utf-8").rstrip("\n"), "utf-8")
    assert documents.differences(checkout, documents.generated())
    file.unlink()
    assert documents.differences(checkout, documents.generated())


def test_a_document_that_belongs_to_no_service_fails_the_check(checkout: Path) -> None:
    (checkout / documents.FOLDER / "cartfc.json").write_text("{}\n", "utf-8")
    assert documents.differences(checkout, documents.generated()) == ["docs/openapi/cartfc.json belongs to no service"]


def test_no_server_and_no_setting_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something connects")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
    before = documents.generated()
    monkeypatch.setenv("CURRENCY", "USD")
    monkeypatch.setenv("DB_HOST", "nowhere.invalid")
    assert documents.generated() == before


def operations() -> Iterator[Any]:
    """Give all routes of all services."""
    for service in SERVICES:
        document = json.loads((documents.ROOT / documents.FOLDER / f"{service}.json").read_text("utf-8"))
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                yield pytest.param(document, operation, id=f"{service} {method.upper()} {path}")


def broken(document: dict[str, Any], content: dict[str, Any]) -> str:
    """Say why an example does not fit its schema; nothing when it does."""
    resource = DRAFT202012.create_resource(document)
    validator = Draft202012Validator(
        {"$ref": "urn:document" + _pointer(document, content["schema"])},
        registry=Registry().with_resource("urn:document", resource),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    return "; ".join(error.message for error in validator.iter_errors(content["example"]))


def _pointer(document: dict[str, Any], schema: dict[str, Any]) -> str:
    document["x-schema"] = schema
    return "#/x-schema"


@pytest.mark.parametrize(("document", "operation"), list(operations()))
def test_a_route_shows_what_is_sent_and_what_comes_back(document: dict[str, Any], operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    shown = [operation["requestBody"]] if "requestBody" in operation else []
    shown += [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    assert shown
    for part in shown:
        if "application/pdf" in part["content"]:
            continue
        assert broken(document, part["content"][JSON]) == ""


@pytest.mark.parametrize(("document", "operation"), list(operations()))
def test_every_refusal_of_a_route_has_the_one_shape(document: dict[str, Any], operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        if status.startswith("2") or (status == "503" and operation["operationId"] == "ready"):
            continue
        assert answer["content"][JSON]["schema"] == ERROR
        assert broken(document, answer["content"][JSON]) == ""
    assert "default" in operation["responses"]
    assert document["components"]["schemas"]["ErrorBody"]["required"] == ["error", "code", "request_id"]


def test_an_example_that_does_not_fit_is_found() -> None:
    content = {"schema": {"type": "object", "required": ["id"]}, "example": {}}
    assert broken({}, content) == "'id' is a required property"


@pytest.mark.parametrize("service", SERVICES)
def test_the_schemes_are_named_and_nothing_else_is_asked_for(service: str) -> None:
    document = documents.document(service)
    schemes = document["components"]["securitySchemes"]
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    used = {name for operation in operations for required in operation.get("security", ()) for name in required}
    assert used == set(schemes) == ({"bearer", "callback"} if service == "paymentfc" else {"bearer"})
