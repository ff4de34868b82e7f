"""The last fifteen minutes of what one process shows on /metrics: the values of each look, in a ring."""

from array import array
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan

from prometheus_client.parser import text_string_to_metric_families

# Looks are at whole multiples of this time, so that those at several processes belong together.
EVERY_S = 5.0
KEPT_S = 900.0
LOOKS = int(KEPT_S / EVERY_S) + 1
# With 8 bytes a value and 181 looks this bounds the values of a ring to 3 MiB.
MAX_SERIES = 2_000
# The services write no longer line.
MAX_SERIES_BYTES = 1_000
# Bounds the cache of label queries; the pages use two hundred.
MAX_QUESTIONS = 1_000

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Series:
    """The name and the labels of one line, and its number in the ring."""

    number: int
    name: str
    labels: Labels

    def fits(self, labels: Labels) -> bool:
        """Whether it has these labels; a value `a|b` stands for both, `!a|b` for all others."""
        return all(_fits(self.labels.get(name, ""), wanted) for name, wanted in labels.items())


def _fits(value: str, wanted: str) -> bool:
    if wanted.startswith("!"):
        return value not in wanted[1:].split("|")
    return value in wanted.split("|")


@dataclass(frozen=True, slots=True)
class Look:
    """What was shown at one moment (seconds since 1970), by the numbers of the series.

    `values` is None when the process did not answer. `grown` has the counters that have grown, and by how much, in the
    `seconds` since the last look that was answered; None for a gap and for the first look that was answered.
    """

    at: float
    values: "array[float] | None"
    grown: Mapping[int, float] | None = None
    seconds: float = 0.0

    def value(self, number: int) -> float:
        """Return a value, NaN where the process did not show it."""
        return self.values[number] if self.values is not None and number < len(self.values) else nan


class Ring:
    """The looks at one process, oldest first. Only the series of `names` are kept, and MAX_SERIES of them at most."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._numbers: dict[str, int] = {}
        self._of_name: dict[str, list[Series]] = {}
        self._found: dict[tuple[str, tuple[tuple[str, str], ...]], list[Series]] = {}
        self._answered: Look | None = None
        self.looks: deque[Look] = deque(maxlen=LOOKS)
        self.left_out = 0

    def add(self, at: float, text: str | None) -> None:
        """Add a look: the text of /metrics, or None for a gap. Raises ValueError for what is no such text."""
        if text is None:
            self.looks.append(Look(at, None))
            return
        values, before = self._values(text), self._answered
        look = Look(at, values)
        if before is not None:
            look = Look(at, values, _growth(before, look), at - before.at)
        self._answered = look
        self.looks.append(look)

    def _values(self, text: str) -> "array[float]":
        values = array("d", [nan]) * len(self._numbers)
        self.left_out = 0
        # Not splitlines(): a label may have characters that it takes for the end of a line.
        for line in text.split("\n"):
            # No line of ours ends with a time.
            series, _, value = line.rpartition(" ")
            number = self._numbers.get(series)
            if number is None:
                number = self._new(series)
                if number is None:
                    continue
                values.append(nan)
            values[number] = float(value)
        return values

    def _new(self, text: str) -> int | None:
        """Give a series its number; None for one that is not kept."""
        if text.partition("{")[0] not in self._names or len(text) > MAX_SERIES_BYTES:
            return None
        if len(self._numbers) >= MAX_SERIES:
            self.left_out += 1
            return None
        # The library reads the labels, with their escapes; that takes a hundred times as long as the value, and is done
        # once for each series.
        [family] = text_string_to_metric_families(f"{text} 0\n")
        [sample] = family.samples
        number = self._numbers[text] = len(self._numbers)
        self._of_name.setdefault(sample.name, []).append(Series(number, sample.name, sample.labels))
        self._found.clear()
        return number

    def find(self, name: str, labels: Labels) -> list[Series]:
        """Return the series of a name with these labels."""
        question = (name, tuple(labels.items()))
        found = self._found.get(question)
        if found is None:
            if len(self._found) >= MAX_QUESTIONS:
                self._found.clear()
            found = self._found[question] = [series for series in self._of_name.get(name, ()) if series.fits(labels)]
        return found

    def since(self, at: float) -> list[Look]:
        """Return the looks since a moment."""
        return [look for look in self.looks if look.at >= at]

    @property
    def is_empty(self) -> bool:
        """Whether the process has not answered once."""
        return all(look.values is None for look in self.looks)


def _growth(before: Look, after: Look) -> dict[int, float]:
    """Say which counters have grown, and how much.

    One that is smaller than before was set to 0 by a new start, and one that is new began there.
    """
    old, new = before.values or (), after.values or ()
    grown = {
        number: value if value < then or isnan(then) else value - then
        for number, (then, value) in enumerate(zip(old, new, strict=False))
        if then != value and not isnan(value)
    }
    grown |= {number: new[number] for number in range(len(old), len(new)) if new[number]}
    return grown
