"""The headers that only some dead letters have are in the schema, and none is in it that no letter has."""

from pathlib import Path

import yaml
from jsonschema import Draft7Validator

from chassis.events import Message, Unreadable
from chassis.kafka.dead_letter import forms

DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "docs/asyncapi.yaml").read_text(encoding="utf-8"))
SCHEMA = DOCUMENT["components"]["schemas"]["dead_letter.headers"]


def test_every_header_of_a_dead_letter_that_not_all_have_is_written_by_some() -> None:
    large = Message.received("stock.updated", 0, 1, b"k" * 1000, b"{", [("x-long", b"h" * 1000)])
    gap = Message.unpackable("stock.updated", 0, Unreadable(1, 3, "the checksum is wrong"))
    written: set[str] = set()
    for message in (large, gap):
        for form in forms(message, "unreadable_record", ValueError("no"), "productfc.stock.updated", 1):
            added = {name: data.decode() for name, data in form.headers if name != "x-long"}
            Draft7Validator(SCHEMA).validate(added)
            written |= added.keys()
    assert written == set(SCHEMA["properties"])
