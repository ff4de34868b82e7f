"""Property tests: the profiles of hypothesis, and schedules of events in any order, concurrent and repeated.

A test of an `async` function takes `@given` as it is: pytest-asyncio runs each example on the loop of the session, so
that all examples share the pools of session and module fixtures. Each example makes rows of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID, uuid5

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase

T = TypeVar("T")

CI, EXPLORE = "ci", "explore"
CI_EXAMPLES = 100
EXPLORE_FACTOR = 10


def load_profiles() -> None:
    """Register both profiles and load `ci`; `pytest --hypothesis-profile=explore` looks further, at random.

    `ci` tries the same examples in every run, so that a failure belongs to the change under test. `explore` tries ten
    times as many others and remembers in `.hypothesis` what has failed.
    """
    settings.register_profile(
        CI, max_examples=CI_EXAMPLES, derandomize=True, database=None, deadline=None, print_blob=True
    )
    settings.register_profile(
        EXPLORE,
        max_examples=CI_EXAMPLES * EXPLORE_FACTOR,
        derandomize=False,
        database=DirectoryBasedExampleDatabase(".hypothesis/examples"),
        deadline=None,
        print_blob=True,
    )
    settings.load_profile(CI)


def examples(number: int) -> settings:
    """Decorate a test on real servers: it tries `number` examples in profile `ci`, and in proportion in others.

    The first failing example is not shrunk: that would exceed the time limit of a test.
    """
    scaled = max(1, number * settings().max_examples // CI_EXAMPLES)
    return settings(max_examples=scaled, phases=[Phase.explicit, Phase.reuse, Phase.generate])


@dataclass(frozen=True, slots=True)
class Delivery(Generic[T]):
    """A delivery of an event. The same event with the same number is the same message again."""

    event: T
    number: int = 0

    def event_id(self, example: UUID) -> UUID:
        """Return the id that all deliveries of this message share within one example."""
        return uuid5(example, f"{self.event!r} {self.number}")


@dataclass(frozen=True, slots=True)
class Burst(Generic[T]):
    """Deliveries at the same instant; with `purge` the inbox is emptied before them."""

    deliveries: tuple[Delivery[T], ...]
    purge: bool = False

    @property
    def events(self) -> frozenset[T]:
        """The distinct events of the burst."""
        return frozenset(delivery.event for delivery in self.deliveries)


def schedules(
    event: st.SearchStrategy[T], *, max_bursts: int = 6, max_size: int = 4
) -> st.SearchStrategy[list[Burst[T]]]:
    """Draw up to `max_bursts` bursts of up to `max_size` deliveries; `max_size` has to stay below the pool's size."""
    delivery = st.builds(Delivery, event, st.integers(0, 1))
    burst = st.builds(Burst, st.lists(delivery, min_size=1, max_size=max_size).map(tuple), st.booleans())
    return st.lists(burst, max_size=max_bursts)


async def deliver(
    schedule: Sequence[Burst[T]],
    send: Callable[[Delivery[T]], Awaitable[object]],
    purge: Callable[[], Awaitable[object]],
) -> None:
    """Deliver the bursts one after the other, each concurrently. Raises what `send` raises."""
    for burst in schedule:
        if burst.purge:
            await purge()
        await asyncio.gather(*(send(delivery) for delivery in burst.deliveries))


def arrived(schedule: Sequence[Burst[T]]) -> frozenset[T]:
    """Return the set of all events of a schedule."""
    return frozenset[T]().union(*(burst.events for burst in schedule))


def first_of(schedule: Sequence[Burst[T]], deciding: Callable[[T], bool]) -> frozenset[T]:
    """Return the deciding events of the first burst that has any: one of them was applied first, any of them."""
    candidates = (frozenset(event for event in burst.events if deciding(event)) for burst in schedule)
    return next((events for events in candidates if events), frozenset())
