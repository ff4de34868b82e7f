"""The cause that dead letters have in common: their errors without what differs from message to message."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from console.model.letters import Letter

# The characters of an error that are read.
MAX_ERROR = 500
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_HEX = re.compile(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{12,}\b", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+(?:[.,:][0-9]+)*")
_SPACE = re.compile(r"\s+")


def fingerprint(error: str) -> str:
    """Return an error with placeholders for quoted text, ids and numbers."""
    text = error[:MAX_ERROR]
    for pattern, sign in ((_QUOTED, "'…'"), (_UUID, "ID"), (_HEX, "ID"), (_NUMBER, "N"), (_SPACE, " ")):
        text = pattern.sub(sign, text)
    return text.strip()


@dataclass(frozen=True, slots=True)
class Cause:
    """What the letters of a group have in common."""

    topic: str
    reason: str
    handler: str
    error: str

    @classmethod
    def of(cls, letter: Letter) -> Self:
        return cls(letter.topic, letter.reason, letter.header("x-handler"), fingerprint(letter.header("x-error")))

    @property
    def name(self) -> str:
        """A short name of the cause, for addresses: it is the same in every process."""
        return sha256(repr((self.topic, self.reason, self.handler, self.error)).encode()).hexdigest()[:16]
