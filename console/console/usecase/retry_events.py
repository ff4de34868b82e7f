"""Has events of an outbox sent now, by the admin API: the service decides, and records who and why."""

from collections.abc import Iterable
from dataclasses import dataclass

from console.client.admin_api import AdminApi, NoAnswer


@dataclass(frozen=True, slots=True)
class Retried:
    """One event, and why it is not due now, if so."""

    row_id: int
    refusal: str = ""


async def retry_events(api: AdminApi, service: str, rows: Iterable[int], reason: str) -> list[Retried]:
    """Make events due one after the other; stop where the service does not answer. Raises Refused."""
    done: list[Retried] = []
    for row_id in rows:
        try:
            status, answer = await api.post(service, f"outbox/{row_id}/retry", {"reason": reason})
        except NoAnswer as error:
            done.append(Retried(row_id, f"{service} did not answer: {error}"))
            break
        done.append(Retried(row_id, "" if status == 200 else str(answer.get("error", status))))
    return done
