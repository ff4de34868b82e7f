"""`fc dlq` says what was done also when an error ends it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import typer

from console.model.items import Item
from console.model.journal import Action
from console.model.letters import Letter
from console.usecase.handle_letters import LetterCommand, LetterStep
from fc.ops import dlq
from fc.stack.errors import StackError

COMMAND = LetterCommand(Action.REPLAYED, "ann", "the order is restored")
LETTER = Letter("payment.success", 0, 7, datetime(2026, 1, 2, tzinfo=UTC), b"order-42", b"{}", ())


class Box:
    async def pick(self, _topic: str, _place: str, _seconds: float) -> Item:
        return Item.of(LETTER)


def carried_out(monkeypatch: pytest.MonkeyPatch, *refusals: str | None, ends: Exception | None) -> None:
    async def steps(*_args: Any) -> AsyncIterator[LetterStep]:
        for refusal in refusals:
            yield LetterStep(LETTER, Action.REPLAYED, refusal)
        if ends is not None:
            raise ends

    monkeypatch.setattr(dlq, "run", lambda work: asyncio.run(work(Box())))
    monkeypatch.setattr(dlq, "carry_out", steps)
    dlq._carry_out(COMMAND, "payment.success", "0:7", None, dry=False)


@pytest.mark.parametrize("refusal", [None, "it is gone"])
def test_the_steps_before_an_error_are_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], refusal: str | None
) -> None:
    with pytest.raises(StackError, match="no answer"):
        carried_out(monkeypatch, refusal, ends=StackError("no answer"))
    printed = capsys.readouterr()
    assert f"0:7\t42\tunknown\t{'refused: it is gone' if refusal else 'replayed'}" in printed.out
    assert ("0" if refusal else "1") + " replayed" in printed.err


def test_an_error_before_the_first_step_reports_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StackError):
        carried_out(monkeypatch, ends=StackError("no answer"))
    assert capsys.readouterr().out == ""


def test_where_all_are_refused_the_command_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(typer.Exit):
        carried_out(monkeypatch, "it is gone", ends=None)
    carried_out(monkeypatch, "it is gone", None, ends=None)
