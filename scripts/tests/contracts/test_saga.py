"""docs/saga.md follows the code: each planted change of the code changes the page or is refused."""

import shutil
from pathlib import Path

import pytest

from contracts import saga
from contracts.saga import Disagreement, arrows, page
from contracts.usecases import Code
from lint.sources import PRODUCT, ROOT, read
from orderfc.model import Cause, Status, Transition, transition

HANDLERS = "orderfc/orderfc/handler/kafka.py"
TAKE_STOCK = "productfc/productfc/usecase/take_stock.py"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The sources of the services, which may be changed."""
    for package in PRODUCT:
        shutil.copytree(ROOT / package / package, tmp_path / package / package)
    return tmp_path


def plant(checkout: Path, file: str, text: str, other: str) -> None:
    path = checkout / file
    sound = path.read_text("utf-8")
    assert sound.count(text) >= 1, f"{file} has no {text!r}"
    path.write_text(sound.replace(text, other), "utf-8")


def rows(checkout: Path) -> dict[str, list[str]]:
    """Return the cells of the table's rows by topic and consuming service."""
    lines = [line.strip("| ").split(" | ") for line in page(checkout).splitlines() if line.startswith("| `")]
    return {f"{cells[0].strip('`')} {cells[2].split(':')[0]}": cells for cells in lines}


def test_each_topic_goes_from_its_use_cases_to_its_consumers_with_the_changes_of_the_order(checkout: Path) -> None:
    found = rows(checkout)
    assert found["stock.updated productfc"][1:3] == ["orderfc: place_order", "productfc: take_stock"]
    assert found["stock.rejected paymentfc"][1:3] == ["productfc: take_stock", "paymentfc: close_rejected_order"]
    assert found["payment.success orderfc"][2:5] == [
        "orderfc: apply_payment_result",
        "created→completed, cancelled→failed",
        "-",
    ]
    assert found["payment.failed orderfc"][3:5] == ["created→cancelled, completed→failed", "`stock.rollback`"]
    assert "receive_callback" in found["payment.failed orderfc"][1]
    assert found["order.cancelled paymentfc"][1:5] == [
        "orderfc: cancel_order",
        "paymentfc: close_cancelled_order",
        "-",
        "-",
    ]
    assert len(found) == 8


def test_every_arrow_is_in_the_picture(checkout: Path) -> None:
    picture = page(checkout).partition("```mermaid")[2]
    for arrow in arrows(Code(read(checkout))):
        for producer in arrow.producers:
            [line] = [
                line for line in picture.splitlines() if f"{producer} -- " in line and arrow.consumer.usecase in line
            ]
            assert arrow.topic.name in line


def test_a_topic_that_another_use_case_handles_changes_the_page(checkout: Path) -> None:
    plant(checkout, HANDLERS, "await apply_stock_rejected(", "await apply_payment_result(")
    assert rows(checkout)["stock.rejected orderfc"][2] == "orderfc: apply_payment_result"


@pytest.mark.parametrize("form", ["[(message, rejected)]", "[(message, parse("])
def test_a_handler_whose_two_forms_call_different_use_cases_is_refused(checkout: Path, form: str) -> None:
    plant(checkout, HANDLERS, f"await apply_stock_rejected(db, {form}", f"await apply_payment_result(db, {form}")
    with pytest.raises(Disagreement, match="not one use-case: 'apply_payment_result apply_stock_rejected'"):
        page(checkout)


def test_a_use_case_that_begins_to_publish_changes_the_page(checkout: Path) -> None:
    file = checkout / "orderfc/orderfc/usecase/apply_stock_rejected.py"
    file.write_text(file.read_text("utf-8") + "\nALSO = Event.of(orderfc.events.STOCK_ROLLBACK, 'k', None)\n", "utf-8")
    plant(checkout, str(file.relative_to(checkout)), "import Sequence\n", "import Sequence\nimport orderfc.events\n")
    assert (
        rows(checkout)["stock.rollback productfc"][1]
        == "orderfc: apply_payment_result, apply_stock_rejected, cancel_order"
    )


def test_another_transition_changes_the_page(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(status: Status, cause: Cause) -> Transition:
        if (status, cause) == (Status.CREATED, Cause.STOCK_REJECTED):
            return Transition(Status.FAILED)
        return transition(status, cause)

    monkeypatch.setattr(saga, "transition", changed)
    assert rows(checkout)["stock.rejected orderfc"][3] == "created→failed, completed→failed"


def test_a_topic_that_is_no_longer_handled_is_refused(checkout: Path) -> None:
    plant(checkout, HANDLERS, "events.STOCK_REJECTED: ", "'other': ")
    with pytest.raises(Disagreement, match="orderfc's handlers consume"):
        page(checkout)


def test_a_topic_that_is_no_longer_published_is_refused(checkout: Path) -> None:
    plant(checkout, TAKE_STOCK, "STOCK_REJECTED", "STOCK_UPDATED")
    with pytest.raises(Disagreement, match="no use-case of productfc publishes stock.rejected"):
        page(checkout)


def test_a_handler_that_calls_no_use_case_is_refused(checkout: Path) -> None:
    plant(checkout, HANDLERS, "await apply_stock_rejected(", "print(")
    with pytest.raises(Disagreement, match="orderfc's handler of stock.rejected calls not one use-case"):
        page(checkout)


def test_an_exception_that_the_code_does_not_need_is_refused(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga, "_NEVER", {("productfc", "return_stock", "stock.rejected")})
    with pytest.raises(Disagreement, match="return_stock does not reach stock.rejected any more"):
        page(checkout)
