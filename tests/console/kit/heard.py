"""What a page tells a person: the sentences for screen readers, and whether it is live."""

from dataclasses import dataclass
from typing import Any

from playwright.async_api import Page

_LISTEN = """() => {
  window.heard = [];
  window.states = [];
  const places = "[aria-live], [role=status], [role=alert], [role=log]";
  const texts = () => [...document.querySelectorAll(places)].map((each) => each.innerText.trim());
  const spoken = () => texts().filter(Boolean).join(" | ");
  let last = spoken();
  new MutationObserver(() => {
    const now = spoken();
    if (now && now !== last) window.heard.push({ at: performance.now() / 1000, text: now });
    last = now;
    const state = document.documentElement.dataset.live || "";
    if (window.states.at(-1) !== state) window.states.push(state);
  }).observe(document.documentElement, { subtree: true, childList: true, characterData: true, attributes: true });
}"""


@dataclass(frozen=True)
class Sentence:
    """What was said, and when, in seconds since the page was loaded."""

    text: str
    at: float


@dataclass(frozen=True)
class Heard:
    """What a page has told since `listen`."""

    page: Page

    @classmethod
    async def listen(cls, page: Page) -> "Heard":
        await page.evaluate(_LISTEN)
        return cls(page)

    async def sentences(self) -> list[Sentence]:
        found: list[dict[str, Any]] = await self.page.evaluate("window.heard")
        return [Sentence(each["text"], each["at"]) for each in found]

    async def states(self) -> set[str]:
        """Return every state of the connection that was shown: `on`, `lost`, `ended`, `gone`."""
        return set(await self.page.evaluate("window.states"))
