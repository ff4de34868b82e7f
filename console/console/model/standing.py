"""What a service says of itself on /ready: whether it can work, and which of its dependencies answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# From the best to the worst; `unknown` before the first look.
STATES = ("unknown", "ready", "degraded", "overloaded", "not ready", "away")
KINDS = {
    "unknown": "off",
    "ready": "good",
    "degraded": "warn",
    "overloaded": "warn",
    "not ready": "bad",
    "away": "bad",
}
"""State -> the kind of its badge."""
MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class Standing:
    """The last answer. `checks` has each dependency with `ok` or what is wrong; `reason` says why there was none."""

    state: str = "unknown"
    checks: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""

    @property
    def kind(self) -> str:
        return KINDS[self.state]

    @property
    def degraded(self) -> dict[str, str]:
        """The dependencies that do not answer, each with the reason."""
        return {name: text for name, text in self.checks.items() if text != "ok"}


def read(answer: Any) -> Standing:
    """Read the JSON of /ready. Raises ValueError for another one."""
    if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
        raise ValueError("it is no answer of /ready")
    given = answer.get("checks")
    checks = {str(name): str(text)[:MAX_TEXT] for name, text in (given if isinstance(given, dict) else {}).items()}
    if "migrations" in answer and answer["migrations"] != "ok":
        checks["migrations"] = str(answer["migrations"])[:MAX_TEXT]
    state = answer["status"].replace("_", " ")
    if state == "ready" and any(text != "ok" for text in checks.values()):
        state = "degraded"
    return Standing(state if state in STATES else "unknown", checks)


def worst(standings: Sequence[Standing]) -> Standing:
    """Return the worst state among the processes of a service."""
    return max(standings, key=lambda each: STATES.index(each.state), default=Standing())
