"""Lists of ids in a query string."""

from chassis.errors import Invalid


def id_list(text: str, *, what: str, most: int) -> list[int]:
    """Return the different ids in a parameter `ids` such as `1,2,3`. Raises Invalid."""
    parts = text.split(",", most)
    if len(parts) > most:
        raise Invalid(f"ids: should name at most {most} {what}")
    # Nineteen digits suffice for every 64 bit id; a longer text is not converted to a huge number.
    if not all(part.isascii() and part.isdigit() and len(part) <= 19 and 0 < int(part) < 2**63 for part in parts):
        raise Invalid("ids: should be positive whole numbers, comma separated")
    return list(dict.fromkeys(int(part) for part in parts))


def ids_pattern(most: int) -> str:
    """Return the pattern for the OpenAPI document, which does not check the value: `id_list` words the refusal."""
    return f"^[0-9]{{1,19}}(,[0-9]{{1,19}}){{0,{most - 1}}}$"
