"""Answers without FastAPI's router and dependencies, for the most frequent reads (docs/performance.md)."""

from collections.abc import Awaitable, Callable, Mapping

# Takes the parameter of the path ("" without one) and the query string, and returns the JSON of the answer 200.
# None: the route answers.
Answer = Callable[[str, bytes], Awaitable[bytes | None]]


class Shortcuts:
    """Each belongs to a route, which answers all that the shortcut leaves to it: refusals, and requests of other forms.

    The same middleware serves both. So log line, metrics, span, headers and limits are those of the route.
    """

    def __init__(self) -> None:
        self._by_start: dict[str, tuple[str, Answer]] = {}

    def add(self, answers: Mapping[str, Answer]) -> None:
        """Add shortcuts by the template of their GET route, which has at most one parameter, at its end."""
        for route, answer in answers.items():
            self._by_start[route.partition("{")[0]] = (route, answer)

    def find(self, path: str) -> tuple[str, str, Answer] | None:
        """Return the route's template, the parameter and the answer for a path."""
        if found := self._by_start.get(path):
            return found[0], "", found[1]
        end = path.rfind("/") + 1
        if found := self._by_start.get(path[:end]):
            return found[0], path[end:], found[1]
        return None


async def by_route() -> None:
    """Leave the answer to the route."""


def number(parameter: str) -> int | None:
    """Return the number of an id in its plain form, up to 18 digits, or None for any other text."""
    if len(parameter) <= 18 and parameter.isascii() and parameter.isdigit():
        return int(parameter)
    return None
