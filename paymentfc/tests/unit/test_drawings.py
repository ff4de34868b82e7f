"""The process that draws invoices, and what is kept of its work."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psutil
import pytest

from paymentfc.errors import DrawingFailed, DrawingUnavailable
from paymentfc.model.document import InvoiceDocument
from paymentfc.pdf.contents import contents
from paymentfc.pdf.drawings import Drawings
from paymentfc.pdf.process import DrawingProcess
from testkit import eventually

from .drawing import document, draw
from .samples import NOW, payment

INVOICE = contents(document())
SECRET = "secret-of-the-service"


@pytest.fixture
async def process(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DrawingProcess]:
    monkeypatch.setenv("XENDIT_SECRET_API_KEY", SECRET)
    process = DrawingProcess(timeout_s=30)
    yield process
    await process.close()


def drawing_children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "paymentfc.pdf" in child.cmdline()]


async def test_it_draws_as_typesetting_does_in_one_process_without_the_services_secrets(
    process: DrawingProcess,
) -> None:
    assert not drawing_children()
    assert await asyncio.gather(*(process.draw(INVOICE) for _ in range(3))) == [draw()] * 3
    (child,) = drawing_children()
    assert SECRET not in child.environ().values()
    assert child.nice() > psutil.Process().nice()
    await process.close()
    assert not drawing_children()


async def test_after_its_death_the_next_drawing_starts_it_again(process: DrawingProcess) -> None:
    await process.draw(INVOICE)
    (child,) = drawing_children()
    child.kill()
    assert await process.draw(INVOICE) == draw()


async def test_a_drawing_that_takes_too_long_ends_its_process_and_the_next_one_is_made(process: DrawingProcess) -> None:
    await process.draw(INVOICE)
    (child,) = drawing_children()
    child.send_signal(signal.SIGSTOP)
    process.timeout_s = 0.2
    with pytest.raises(DrawingUnavailable):
        await process.draw(INVOICE)
    assert not child.is_running()
    process.timeout_s = 30
    assert await process.draw(INVOICE) == draw()


async def test_a_drawing_that_is_given_up_is_not_taken_for_the_next_one(process: DrawingProcess) -> None:
    await process.draw(INVOICE)
    (child,) = drawing_children()
    child.send_signal(signal.SIGSTOP)
    given_up = asyncio.create_task(process.draw(contents(document(customer="Other"))))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert await process.draw(INVOICE) == draw()


async def test_an_error_of_the_template_is_an_error_of_its_drawing_alone(process: DrawingProcess) -> None:
    with pytest.raises(DrawingFailed, match="status|key"):
        await process.draw(b'{"customer":"","email":"","address":"","facts":[],"lines":[]}')
    assert await process.draw(INVOICE) == draw()


async def test_it_ends_when_the_service_is_killed() -> None:
    read, write = os.pipe()
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "paymentfc.pdf", stdin=read, stdout=read)
    os.close(read)
    os.close(write)
    assert await asyncio.wait_for(child.wait(), 20) == 0


class Counting:
    """Draws what it is asked for, and counts."""

    def __init__(self, pdf: bytes = b"pdf") -> None:
        self.count = 0
        self.pdf = pdf
        self.free = asyncio.Event()

    async def draw(self, _contents: bytes) -> bytes:
        self.count += 1
        await self.free.wait()
        return self.pdf

    async def close(self) -> None:
        self.free.set()


async def described(**fields: Any) -> InvoiceDocument:
    return document(**fields)


async def test_an_invoice_asked_for_by_many_is_drawn_once_and_kept_until_its_payment_changes() -> None:
    process = Counting()
    drawings = Drawings(process, max_queue=1, max_wait_s=60, cache_bytes=100)
    waiting = [asyncio.create_task(drawings.pdf(payment(), described)) for _ in range(20)]
    await eventually(lambda: process.count)
    waiting[0].cancel()
    process.free.set()
    assert [await each for each in waiting[1:]] == [b"pdf"] * 19
    assert await drawings.pdf(payment(), described) == b"pdf"
    assert process.count == 1
    await drawings.pdf(payment(update_time=NOW + timedelta(seconds=1)), described)
    assert process.count == 2


async def test_what_is_kept_is_bounded_in_bytes_and_the_oldest_goes_first() -> None:
    process = Counting(b"0123456789")
    process.free.set()
    drawings = Drawings(process, max_queue=1, max_wait_s=60, cache_bytes=25)
    for number in (1, 2, 1, 3, 1):
        await drawings.pdf(payment(id=number), described)
    assert process.count == 3
    await drawings.pdf(payment(id=2), described)
    assert process.count == 4
    process.pdf = b"0" * 26
    await drawings.pdf(payment(id=4), described)
    await drawings.pdf(payment(id=4), described)
    assert process.count == 6


async def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    class Failing(Counting):
        async def draw(self, _contents: bytes) -> bytes:
            await super().draw(_contents)
            raise DrawingFailed("no")

    process = Failing()
    drawings = Drawings(process, max_queue=1, max_wait_s=60, cache_bytes=100)
    waiting = [asyncio.create_task(drawings.pdf(payment(), described)) for _ in range(2)]
    await eventually(lambda: process.count)
    with pytest.raises(DrawingUnavailable):
        await drawings.pdf(payment(id=2), described)
    process.free.set()
    assert [type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)] == [DrawingFailed] * 2
    with pytest.raises(DrawingFailed):
        await drawings.pdf(payment(), described)
    assert process.count == 2


async def test_an_invoice_that_waits_too_long_is_refused_and_there_for_the_next_request() -> None:
    process = Counting()
    drawings = Drawings(process, max_queue=1, max_wait_s=0.05, cache_bytes=100)
    with pytest.raises(DrawingUnavailable):
        await drawings.pdf(payment(), described)
    process.free.set()
    assert await drawings.pdf(payment(), described) == b"pdf"
    assert process.count == 1


async def test_closing_gives_up_what_is_being_drawn() -> None:
    drawings = Drawings(Counting(), max_queue=1, max_wait_s=60, cache_bytes=100)
    waiting = asyncio.create_task(drawings.pdf(payment(), described))
    await asyncio.sleep(0)
    await drawings.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
