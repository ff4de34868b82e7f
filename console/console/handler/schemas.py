"""The schemas of the events, which pages judge records by."""

import json
from functools import cache

from console.documents import document
from console.model.contract import Contract


@cache
def contract() -> Contract:
    files = document("protos/events").glob("*.schema.json")
    return Contract({file.name.removesuffix(".schema.json"): json.loads(file.read_bytes()) for file in files})
