"""Actions on many dead letters, each as a task of this process whose progress can be looked at.

When the process ends in the middle, the journal has what was done, and the rest is still listed.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from chassis.errors import Conflict
from console.client.admin_api import NoAnswer
from console.model.items import Item
from console.usecase.handle_letters import LetterBox, LetterCommand, LetterStep, Unnoted, carry_out

log = structlog.get_logger(__name__)

MAX_ACTIVE = 4
MAX_KEPT = 50
# The longest time that a stop waits for the letter that is being handled.
STOP_S = 10.0


@dataclass(eq=False)
class Run:
    """One action on some letters: what was asked for, what is done, and why it ended early, if so."""

    command: LetterCommand
    items: Sequence[Item]
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    begun_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    steps: list[LetterStep] = field(default_factory=list)
    problem: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def done(self) -> int:
        return sum(step.refusal is None for step in self.steps)

    @property
    def refused(self) -> int:
        return len(self.steps) - self.done


class LetterRuns:
    """The runs of this process: at most MAX_ACTIVE at a time, and the last MAX_KEPT. A part of the process."""

    name = "letter runs"

    def __init__(self, box: LetterBox) -> None:
        self._box = box
        self.by_name: dict[str, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    def start(self, items: Sequence[Item], command: LetterCommand) -> Run:
        """Begin to handle letters. Raises Conflict while too many runs are at work."""
        if len(self._tasks) >= MAX_ACTIVE or self._stopping:
            raise Conflict("Other letters are being handled; try again in a moment")
        run = Run(command, items)
        self.by_name[run.name] = run
        while len(self.by_name) > MAX_KEPT:
            del self.by_name[next(iter(self.by_name))]
        task = asyncio.create_task(self._work(run), name=f"letters {run.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run

    @property
    def latest(self) -> list[Run]:
        return list(reversed(self.by_name.values()))

    async def run(self, stop: asyncio.Event) -> None:
        """Wait until the process is to stop; then each run ends after the letter that it is at."""
        await stop.wait()
        self._stopping = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_S)
            for task in late:
                task.cancel()

    async def _work(self, run: Run) -> None:
        try:
            async for step in carry_out(self._box, run.items, run.command):
                run.steps.append(step)
                if self._stopping:
                    run.problem = "The console was stopped"
                    break
        except Unnoted as error:
            run.problem = str(error)
        except NoAnswer as error:
            run.problem = f"Kafka did not answer: {error}"
        except Exception:
            log.exception("letters not handled", run=run.name)
            run.problem = "A defect ended it; the log of the console says which"
        finally:
            run.ended_at = datetime.now(UTC)
            run.over.set()
            log.info(
                "letters handled",
                run=run.name,
                action=run.command.action.value,
                by=run.command.by,
                why=run.command.why,
                done=run.done,
                refused=run.refused,
                left=len(run.items) - len(run.steps),
            )
